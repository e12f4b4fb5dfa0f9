"""The serving process of a pod, with its workers or its engine, as a pod starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
from patience import eventually, free_port


@dataclass
class RunningPod:
    """A serving process."""

    process: "subprocess.Popen[bytes]"
    url: str
    admin_url: str
    log: Path
    run_directory: Path

    @property
    def port(self) -> int:
        """Where it serves."""
        return int(self.url.rpartition(":")[2])

    def metrics(self) -> str:
        """What Prometheus reads."""
        return httpx.get(self.admin_url + "/metrics", timeout=10).text

    def metric(self, name: str) -> float:
        """One metric's value, summed over its labels."""
        lines = self.metrics().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


Pod = TypeVar("Pod", bound=RunningPod)


@contextmanager
def running(
    kind: type[Pod], directory: Path, arguments: Sequence[str], settings: Mapping[str, str], *, within_seconds: float
) -> Iterator[Pod]:
    """Starts a serving process and ends it after the block; waits until it is ready, unless `within_seconds` is 0."""
    run_directory = Path(f"/tmp/hr-{os.getpid()}-{free_port()}")  # a socket's path is limited to 108 bytes
    port, admin_port = free_port(), free_port()
    command = [sys.executable, "-m", "headrace.runtimes", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--admin-port", str(admin_port), "--run-directory", str(run_directory), *arguments]
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=output, stderr=output)
    pod = kind(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}", log, run_directory)
    try:
        if within_seconds:
            ready = f"{pod.url}/ping"
            eventually(lambda: process.poll() is not None or status_of(ready) == 200, seconds=within_seconds)
            assert process.poll() is None, log.read_text()
        yield pod
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def status_of(url: str) -> int:
    """Status of a GET, 0 when nobody listens."""
    try:
        return httpx.get(url, timeout=10).status_code
    except httpx.TransportError:
        return 0
