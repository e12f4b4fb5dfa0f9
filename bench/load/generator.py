"""The load generator: a job in a process of its own, so that what it costs is not the CPU time of what is measured."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]


def run(job: Mapping[str, Any], begins: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """Runs a job (bench.load.client.Job); `begins` is called when all connections are open.

    What servers did until then is no part of the load. Raises RuntimeError with the client's last words if it fails.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", "bench.load"], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(job) + "\n")
        child.stdin.flush()
        if child.stdout.readline():
            begins()
        told, last_words = child.communicate("go\n")
    if child.returncode != 0:
        raise RuntimeError(f"the load client failed: {last_words[-2000:]}")
    result: dict[str, Any] = json.loads(told)
    return result
