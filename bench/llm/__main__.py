"""vLLM on a GPU behind our front, and alone, in turns: `make bench-llm`.

`HEADRACE_ENGINE_PYTHON` names the interpreter of an environment with vLLM, transformers and mlflow-skinny; the machine
needs a GPU with 40 GiB. What is measured is the front: what it takes from vLLM's rate, what it adds to the first token,
and whether a pod's end cuts a stream. Then the same model is served as our selection has it where the weights are too
large for a GPU, in FP8. Not part of `make bench`, for want of GPUs where that runs.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import report
from bench.llm import plot
from bench.llm.serving import PORT, NotReady, Served, looked_at, serve

TURNS = {1: 3, 16: 5, 64: 5, 256: 15}
"""By streams at once: turns of 256 differ by a sixth and more, front or none, where what is looked for is 3 %."""
CONNECTIONS = tuple(TURNS)
FIRST_TOKEN_TURNS, FP8_TURNS = 3, 3
PROMPT_TOKENS, TOKENS = 128, 128
FIRST_TOKEN_REQUESTS, FIRST_TOKENS = 200, 4
"""The first token is measured on many short answers: of long ones there would be a handful in the same time."""
SMALL_GPU = {"kind": "vllm", "gpu_memory_gib": 20}
"""Of such a GPU 70 % hold half of the 15 GiB of weights and not all of them: a case for FP8."""
UNITS = {
    "tokens_per_second": "tokens/s",
    "first_token_p50_ms": "ms",
    "first_token_p99_ms": "ms",
    "answer_p50_ms": "ms",
}
FP8 = "headrace, FP8"

Turns = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Measures and writes bench/results/llm.json."""
    python = os.environ.get("HEADRACE_ENGINE_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        print("making a model of eight billion random weights", flush=True)
        subprocess.run([python, "-m", "bench.llm.make_model", str(model)], check=True, cwd=_root())
        with serve(model, python, Path(scratch) / "whole", {"kind": "vllm"}) as whole:
            cells = [*_facts("headrace", whole)]
            systems = {"vllm": whole.engine_port, "headrace": PORT}
            first = first_tokens(systems)
            results = {count: in_turns(systems, count, turns) for count, turns in TURNS.items()}
            for count in (1, max(CONNECTIONS)):
                cells += _looked_at(count)
            cut = drained(whole)
        cells += [cell for cell in _cells("first token", first) if cell.metric.startswith("first_token")]
        cells += [cell for count in CONNECTIONS for cell in _cells(f"{count} connections", results[count])]
        bars = [*_bars(first, results), report.at_most("streams cut by the end of a pod", cut, 0, "streams")]
        versions = _versions(python)
        report.write("llm", versions=versions, cells=cells, bars=bars)  # should the rest fail
        try:
            with serve(model, python, Path(scratch) / "fp8", SMALL_GPU) as small:
                versions["added for FP8"] = " ".join(sorted(_options(small) - _options(whole)))
                cells += _facts(FP8, small)
                smalls = {count: in_turns({FP8: PORT}, count, FP8_TURNS) for count in CONNECTIONS}
            cells += [cell for count in CONNECTIONS for cell in _cells(f"{count} connections", smalls[count])]
            bars += _bars_of_fp8(whole, results, small, smalls)
        except NotReady as error:
            print(error, flush=True)
            bars.append(report.at_least("FP8: engines that became ready", 0, 1, "engines"))
    report.write("llm", versions=versions, cells=cells, bars=bars)
    plot.draw()


def in_turns(systems: Mapping[str, int], connections: int, turns: int) -> Turns:
    """The systems, by port, turn by turn, each first in half of them, after one turn of each that does not count."""
    results: Turns = {system: [] for system in systems}
    for turn in range(turns + 1):
        order = list(systems.items())[:: -1 if turn % 2 else 1]
        for place, (system, port) in enumerate(order):
            with _loading([port], connections, seed=1000 * connections + 2 * turn + place) as process:
                [result] = _answered(process)
            if turn:
                results[system].append(result)
                print(connections, system, json.dumps(result), flush=True)
    return results


def first_tokens(systems: Mapping[str, int]) -> Turns:
    """The systems request by request, as the machine's own swings are larger than what is looked for."""
    results: Turns = {system: [] for system in systems}
    for turn in range(FIRST_TOKEN_TURNS + 1):
        ports = list(systems.values())
        with _loading(ports, 1, seed=turn, requests=FIRST_TOKEN_REQUESTS, tokens=FIRST_TOKENS) as process:
            answered = _answered(process)
        for system, result in zip(systems, answered, strict=True):
            if turn:
                results[system].append(result)
                print("first token", system, json.dumps(result), flush=True)
    return results


def drained(served: Served) -> float:
    """Streams that did not reach their end when the front was told to stop amid them."""
    with _loading([PORT], 32, seed=7, requests=32, tokens=512) as process:
        time.sleep(1.5)  # all are under way: a token takes some ten milliseconds
        served.process.send_signal(signal.SIGTERM)
        return float(_read(process)[0]["failed"])


@contextmanager
def _loading(
    ports: Sequence[int], connections: int, *, seed: int, requests: int | None = None, tokens: int = TOKENS
) -> "Iterator[subprocess.Popen[bytes]]":
    job = {
        "ports": list(ports),
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


def _read(process: "subprocess.Popen[bytes]") -> list[dict[str, Any]]:
    assert process.stdout is not None
    answer: list[dict[str, Any]] = json.loads(process.stdout.read())
    return answer


def _answered(process: "subprocess.Popen[bytes]") -> list[dict[str, Any]]:
    """The same, where every request should have been answered."""
    answer = _read(process)
    if failed := sum(result["failed"] for result in answer):
        raise SystemExit(f"{failed} requests failed")
    return answer


def _looked_at(connections: int) -> Iterator[report.Cell]:
    """The GPU under load, as an autoscaler sees it."""
    with _loading([PORT], connections, seed=11) as process:
        seen = looked_at(lambda: process.poll() is None)
    case = f"{connections} connections"
    yield report.single(case, "gpu_utilisation_percent", seen.utilisation_percent, "%")
    yield report.single(case, "gpu_memory_gib", seen.memory_gib, "GiB")


def _facts(system: str, served: Served) -> Iterator[report.Cell]:
    print(f"{system}: ready after {served.ready_seconds:.0f} s, {' '.join(served.arguments)}", flush=True)
    yield report.single("start", "ready_seconds", served.ready_seconds, "s", system=system)
    yield report.single("start", "weights_gib", served.weights_gib, "GiB", system=system)
    yield report.single("start", "cached_tokens", served.cached_tokens, "tokens", system=system)


def _cells(case: str, results: Turns) -> Iterator[report.Cell]:
    for system, turns in results.items():
        for metric, unit in UNITS.items():
            values = [turn[metric] for turn in turns]
            yield report.Cell(
                case=case, system=system, metric=metric, value=statistics.median(values),
                unit=unit, low=min(values), high=max(values),
            )  # fmt: skip


def _bars(first: Turns, results: Mapping[int, Turns]) -> Sequence[report.Bar]:
    bars = []
    for count in CONNECTIONS:
        rate = _median(results[count]["headrace"]) / _median(results[count]["vllm"])
        bars.append(report.at_least(f"{count} connections: tokens/s over vLLM alone", rate, 0.97, "x"))
    added = _median(first["headrace"], "first_token_p50_ms") - _median(first["vllm"], "first_token_p50_ms")
    bars.append(report.at_most("1 connection: added to the first token, p50", added, 1, "ms"))
    return bars


def _bars_of_fp8(
    whole: Served, results: Mapping[int, Turns], small: Served, smalls: Mapping[int, Turns]
) -> Iterator[report.Bar]:
    """Half of the weights but for the embeddings, which stay; and no slower for it."""
    yield report.at_most("FP8: weights over bfloat16", small.weights_gib / whole.weights_gib, 0.65, "x")
    for count in CONNECTIONS:
        rate = _median(smalls[count][FP8]) / _median(results[count]["headrace"])
        yield report.at_least(f"FP8, {count} connections: tokens/s over bfloat16", rate, 1, "x")


def _median(turns: Sequence[Mapping[str, float]], metric: str = "tokens_per_second") -> float:
    return statistics.median(turn[metric] for turn in turns)


def _options(served: Served) -> set[str]:
    """The engine's options but for its port."""
    return {word for word in served.arguments if word.startswith("--") and not word.startswith("--port=")}


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
