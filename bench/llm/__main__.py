"""vLLM on a GPU behind our front, and alone, in turns: `make bench-llm`.

`HEADRACE_ENGINE_PYTHON` names the interpreter of an environment with vLLM, transformers and mlflow-skinny; the machine
needs a GPU with 40 GiB. What is measured is the front: what it takes from vLLM's rate, what it adds to the first token,
and whether a pod's end cuts a stream. Not part of `make bench`, for want of GPUs where that runs.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import report
from bench.llm import plot

PORT, ADMIN_PORT = 18_080, 18_081
CONNECTIONS = (1, 16, 64, 256)
TURNS = 3
PROMPT_TOKENS, TOKENS = 128, 128
READY_SECONDS = 240.0
UNITS = {
    "tokens_per_second": "tokens/s",
    "first_token_p50_ms": "ms",
    "first_token_p99_ms": "ms",
    "answer_p50_ms": "ms",
}


@dataclass(frozen=True, kw_only=True)
class Served:
    """A front and its engine."""

    process: "subprocess.Popen[bytes]"
    engine_port: int
    ready_seconds: float


def main() -> None:
    """Measures and writes bench/results/llm.json."""
    python = os.environ.get("HEADRACE_ENGINE_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        print("making a model of eight billion random weights", flush=True)
        subprocess.run([python, "-m", "bench.llm.make_model", str(model)], check=True, cwd=_root())
        cells: list[report.Cell] = []
        with serve(model, python, Path(scratch)) as served:
            print(f"ready after {served.ready_seconds:.0f} s", flush=True)
            cells.append(report.single("start", "ready_seconds", served.ready_seconds, "s"))
            results = {count: in_turns(served, count) for count in CONNECTIONS}
            cells += [cell for count in CONNECTIONS for cell in _cells(count, results[count])]
            cut = drained(served)
    bars = [*_bars(results), report.at_most("streams cut by the end of a pod", cut, 0, "streams")]
    report.write("llm", versions=_versions(python), cells=cells, bars=bars)
    plot.draw()


@contextmanager
def serve(model: Path, python: str, directory: Path) -> Iterator[Served]:
    """The front and vLLM as a pod runs them, until the block ends."""
    selector = [sys.executable, "-m", "headrace.runtimes.selector", "--model", str(model)]
    plan = subprocess.run([*selector, "--request", '{"runtime": "vllm"}'], check=True, capture_output=True).stdout
    (directory / "plan.json").write_bytes(plan)
    run = directory / "run"
    command = [sys.executable, "-m", "headrace.runtimes.engine", "--plan", str(directory / "plan.json")]
    command += ["--model", str(model), "--python", python, "--host", "127.0.0.1", "--port", str(PORT)]
    command += ["--admin-port", str(ADMIN_PORT), "--run-directory", str(run), "--failure-hold-seconds", "1"]
    variables = {"HEADRACE_ENDPOINT": "llm", "HEADRACE_VERSION": "v1", "HEADRACE_GRACE_SECONDS": "60"}
    began = time.monotonic()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)
    try:
        while not _ready():
            if process.poll() is not None or time.monotonic() - began > READY_SECONDS:
                raise SystemExit((directory / "log").read_text()[-6000:])
            time.sleep(0.2)
        ready = time.monotonic() - began
        pid = int(json.loads((run / "engine" / "engine.json").read_text())["pid"])
        arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        [port] = [value.removeprefix("--port=") for value in arguments if value.startswith("--port=")]
        yield Served(process=process, engine_port=int(port), ready_seconds=ready)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


def in_turns(served: Served, connections: int) -> dict[str, list[dict[str, Any]]]:
    """vLLM alone and behind our front, turn by turn, after one turn of each that does not count."""
    results: dict[str, list[dict[str, Any]]] = {"vllm": [], "headrace": []}
    for turn in range(TURNS + 1):
        for system, port in (("vllm", served.engine_port), ("headrace", PORT)):
            result = load(port, connections, seed=1000 * connections + 2 * turn + (system == "vllm"))
            if result["failed"]:
                raise SystemExit(f"{system} failed {result['failed']} requests at {connections} connections")
            if turn:
                results[system].append(result)
                print(connections, system, json.dumps(result), flush=True)
    return results


def load(port: int, connections: int, *, seed: int) -> dict[str, Any]:
    """One run of the load process."""
    with _loading(port, connections, seed=seed) as process:
        return _result(process)


def drained(served: Served) -> float:
    """Streams that did not reach their end when the front was told to stop amid them."""
    with _loading(PORT, 32, seed=7, requests=32, tokens=512) as process:
        time.sleep(1.5)  # all are under way: a token takes some ten milliseconds
        served.process.send_signal(signal.SIGTERM)
        return float(_result(process)["failed"])


@contextmanager
def _loading(
    port: int, connections: int, *, seed: int, requests: int | None = None, tokens: int = TOKENS
) -> "Iterator[subprocess.Popen[bytes]]":
    job = {
        "port": port,
        "model": "llm",
        "connections": connections,
        "requests": requests or max(8, 3 * connections),
        "prompt_tokens": PROMPT_TOKENS,
        "tokens": tokens,
        "seed": seed,
    }
    command = [sys.executable, "-m", "bench.llm.load"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_root()) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
        yield process


def _result(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.read())
    return answer


def _ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _cells(connections: int, results: dict[str, list[dict[str, Any]]]) -> Iterator[report.Cell]:
    for system, turns in results.items():
        for metric, unit in UNITS.items():
            values = [turn[metric] for turn in turns]
            yield report.Cell(
                case=f"{connections} connections", system=system, metric=metric, value=statistics.median(values),
                unit=unit, low=min(values), high=max(values),
            )  # fmt: skip


def _bars(results: dict[int, dict[str, list[dict[str, Any]]]]) -> Sequence[report.Bar]:
    def median(count: int, system: str, metric: str) -> float:
        return float(statistics.median(turn[metric] for turn in results[count][system]))

    bars = []
    for count in CONNECTIONS:
        rate = median(count, "headrace", "tokens_per_second") / median(count, "vllm", "tokens_per_second")
        bars.append(report.at_least(f"{count} connections: tokens/s over vLLM alone", rate, 0.97, "x"))
    added = median(1, "headrace", "first_token_p50_ms") - median(1, "vllm", "first_token_p50_ms")
    bars.append(report.at_most("1 connection: added to the first token, p50", added, 1, "ms"))
    return bars


def _versions(python: str) -> dict[str, str]:
    code = (
        "import torch, vllm, transformers; "
        "print(vllm.__version__, torch.__version__, transformers.__version__, torch.cuda.get_device_name(), sep='\\n')"
    )
    said = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.split("\n")
    return dict(zip(("vllm", "torch", "transformers", "gpu"), said[-5:], strict=False))


def _root() -> Path:
    return Path(__file__).resolve().parents[2]


if __name__ == "__main__":
    main()
