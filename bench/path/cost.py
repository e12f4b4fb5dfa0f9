"""Cost: CPU, memory and time of each hop of a chain under load, chains in turns."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.path import processes
from bench.path.chains import ROOT, Chain

BODY = json.dumps({"dataframe_split": {"columns": [f"feature_{at}" for at in range(30)], "data": [[1.5] * 30]}})


@dataclass
class Turn:
    """One load on one chain."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    micros: dict[str, float]
    """CPU microseconds a request, by hop."""
    busiest: dict[str, float]
    """Share of a hop's worker threads' CPU that the busiest of them had."""
    memory: dict[str, float]


def load(chain: Chain, *, connections: int, seconds: float, body: str = BODY) -> Turn:
    """One turn. Raises RuntimeError when an answer is not 200."""
    job = {
        "host": "127.0.0.1", "port": chain.port, "path": chain.path, "ca_file": chain.ca_file, "body": body,
        "headers": dict(chain.headers), "connections": connections, "seconds": seconds,
    }  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.path.load"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(job) + "\n")
    child.stdin.flush()
    child.stdout.readline()
    before = {hop: processes.cpu_by_thread(pid) for hop, pid in chain.hops.items()}
    child.stdin.write("go\n")
    child.stdin.flush()
    result: dict[str, Any] = json.loads(child.stdout.readline())
    after = {hop: processes.cpu_by_thread(pid) for hop, pid in chain.hops.items()}
    child.wait(10)
    answered = sum(result["statuses"].values())
    if set(result["statuses"]) != {"200"} or result["broken"]:
        raise RuntimeError(f"{chain.name}: statuses {result['statuses']}, {result['broken']} connections broken")
    micros, busiest = {}, {}
    for hop in chain.hops:
        spent = {thread: after[hop][thread] - before[hop].get(thread, 0) for thread in after[hop]}
        micros[hop] = sum(spent.values()) / answered / 1e3
        workers = [value for (_, name), value in spent.items() if name.startswith("wrk:")]
        busiest[hop] = max(workers) / max(1, sum(workers)) if workers else 1.0
    memory = {hop: processes.resident_mebibytes(pid) for hop, pid in chain.hops.items()}
    return Turn(result["requests_per_second"], result["p50_ms"], result["p99_ms"], micros, busiest, memory)


def measure() -> None: ...
