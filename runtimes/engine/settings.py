"""What the front of an engine is told at start: the front's own settings, and the plan of the engine."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.contract.runtime import ENV_ENGINE, EnginePlan
from headrace.runtimes.front import settings as front


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[front.Settings, EnginePlan]:
    """Reads the command line and the environment. InputError names every value that cannot be used."""
    parser = argparse.ArgumentParser(prog="headrace.runtimes.engine", add_help=False)
    parser.add_argument("--plan", type=Path, help="what headrace.runtimes.selector printed; absent: " + ENV_ENGINE)
    parser.add_argument("--python", default=f"{names.MODEL_ENVIRONMENT}/bin/python")
    given, rest = parser.parse_known_args(arguments)
    if not os.access(given.python, os.X_OK):
        given.python = "/usr/bin/python3"  # an engine's image has no environment of the model's
    settings = front.parse([*rest, "--python", given.python], environment)
    text = given.plan.read_text() if given.plan is not None else environment.get(ENV_ENGINE, "")
    try:
        value = json.loads(text)
        plan = EnginePlan.from_json(value.get("engine", value))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError("engine", [f"{ENV_ENGINE} (or --plan) must be the JSON of a plan: {error}"]) from error
    # One engine, whose processes are its own affair.
    return replace(settings, workers=1), plan
