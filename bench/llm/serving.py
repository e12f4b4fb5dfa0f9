"""The front and vLLM as a pod runs them, and what the engine and the GPU say of themselves."""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PORT, ADMIN_PORT = 18_080, 18_081
READY_SECONDS = 400.0
_WEIGHTS = re.compile(r"Model loading took ([\d.]+) GiB")
_CACHE = re.compile(r"GPU KV cache size: ([\d,]+) tokens")
_QUESTION = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits")


class NotReady(Exception):
    """The engine did not become ready; with its last words."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A front and its engine."""

    process: "subprocess.Popen[bytes]"
    engine_port: int
    arguments: tuple[str, ...]
    """The engine's command line."""
    ready_seconds: float
    weights_gib: float
    """What the weights take of the GPU's memory, as the engine says."""
    cached_tokens: int
    """For how many tokens of context its KV cache has room, likewise."""


@contextmanager
def serve(model: Path, python: str, directory: Path, request: Mapping[str, Any]) -> Iterator[Served]:
    """Serves the model as selected for `request` until the block ends."""
    directory.mkdir()
    selector = [sys.executable, "-m", "headrace.components.endpoint.selection", "--model", str(model)]
    plan = subprocess.run([*selector, "--request", json.dumps(request)], check=True, capture_output=True).stdout
    (directory / "plan.json").write_bytes(plan)
    run, said = directory / "run", directory / "log"
    command = [sys.executable, "-m", "headrace.runtimes", "--plan", str(directory / "plan.json")]
    command += ["--model", str(model), "--python", python, "--host", "127.0.0.1", "--port", str(PORT)]
    command += ["--admin-port", str(ADMIN_PORT), "--run-directory", str(run), "--failure-hold-seconds", "1"]
    variables = {"HEADRACE_ENDPOINT": "llm", "HEADRACE_VERSION": "v1", "HEADRACE_GRACE_SECONDS": "60"}
    began = time.monotonic()
    with said.open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)
    try:
        while not _ready():
            if process.poll() is not None or time.monotonic() - began > READY_SECONDS:
                raise NotReady(said.read_text()[-6000:])
            time.sleep(0.2)
        ready = time.monotonic() - began
        pid = int(json.loads((run / "engine" / "engine.json").read_text())["pid"])
        arguments = tuple(Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1])
        [port] = [value.removeprefix("--port=") for value in arguments if value.startswith("--port=")]
        told = said.read_text()
        yield Served(
            process=process,
            engine_port=int(port),
            arguments=arguments,
            ready_seconds=ready,
            weights_gib=float(_told(_WEIGHTS, told)),
            cached_tokens=int(_told(_CACHE, told).replace(",", "")),
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the driver says of the GPU, each the median of a look every half second."""

    utilisation_percent: float
    memory_gib: float


def looked_at(running: Callable[[], bool]) -> Seen:
    """Looks at the GPU while something runs, the first two looks aside, when it only begins."""
    looks: list[tuple[float, float]] = []
    while running():
        said = subprocess.run(_QUESTION, check=True, capture_output=True, text=True).stdout.splitlines()[0]
        utilisation, memory = said.split(",")
        looks.append((float(utilisation), float(memory) / 1024))
        time.sleep(0.5)
    of_load = looks[2:-1] or looks
    return Seen(
        utilisation_percent=statistics.median(one for one, _ in of_load),
        memory_gib=statistics.median(one for _, one in of_load),
    )


def _told(pattern: re.Pattern[str], log: str) -> str:
    found = pattern.search(log)
    if found is None:
        raise NotReady(f"the engine does not say '{pattern.pattern}': {log[-3000:]}")
    return found[1]


def _ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
