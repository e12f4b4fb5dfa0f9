"""`python -m headrace.components.endpoint.selection --model DIRECTORY`: how a saved model would be served, as JSON.

The answer holds the plan that `python -m headrace.runtimes` starts an engine by, for a run without a cluster.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from headrace.components.endpoint.selection.choice import RuntimeRequest
from headrace.components.endpoint.selection.select import select
from headrace.contract.codec import decode, encode
from headrace.contract.errors import InputError


def main(arguments: Sequence[str]) -> int:
    """Answers one request; returns the exit status."""
    parser = argparse.ArgumentParser(prog="headrace.components.endpoint.selection", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="MLflow model directory")
    parser.add_argument("--request", default="{}", help="the input `runtime` of an endpoint, as JSON")
    given = parser.parse_args(arguments)
    try:
        mlmodel = yaml.safe_load((given.model / "MLmodel").read_text())
        choice = select(mlmodel, decode(RuntimeRequest, json.loads(given.request)))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(encode(choice)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
