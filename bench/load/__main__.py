"""`python -m bench.load`: a job as a line of JSON in; `ready` and, after a line more, what came back as JSON out."""

import json
import sys

from bench.load.client import Job, run


def begins() -> None:
    """Says that all connections are open, and waits to be told to send."""
    print("ready", flush=True)
    sys.stdin.readline()


print(json.dumps(run(Job(**json.loads(sys.stdin.readline())), begins)))
