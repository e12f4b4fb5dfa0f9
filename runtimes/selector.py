"""`python -m headrace.runtimes.selector < request.json`: how a model is served, as headrace.contract.runtime has it.

With `--model DIRECTORY [--runtime NAME]` it reads a saved model's MLmodel file instead, for a local run of an engine.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.contract.errors import InputError
from headrace.contract.runtime import RuntimeRequest
from headrace.runtimes.selection import select


def main(arguments: Sequence[str]) -> int:
    """Answers one request; returns the exit status."""
    parser = argparse.ArgumentParser(prog=__name__, description=__doc__)
    parser.add_argument("--model", type=Path, help="MLflow model directory; absent reads a request from standard input")
    parser.add_argument("--request", default="{}", help="with --model: a RuntimeRequest as JSON")
    given = parser.parse_args(arguments)
    value: dict[str, Any]
    if given.model is None:
        value = json.load(sys.stdin)
    else:
        value = {"mlmodel": _read(given.model / "MLmodel"), "request": json.loads(given.request)}
    try:
        choice = select(value["mlmodel"], RuntimeRequest.from_json(value["request"]))
    except InputError as error:
        print(json.dumps({"faults": list(error.faults)}))
        return 1
    print(json.dumps(choice.to_json()))
    return 0


def _read(path: Path) -> Any:
    import yaml  # noqa: PLC0415 -- deployers have it, pods do not

    return yaml.safe_load(path.read_text())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
