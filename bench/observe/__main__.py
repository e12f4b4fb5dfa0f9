"""`make bench-observe`: bench/results/observe.json and the bars as a table.

Two fronts of one model side by side, one of which records, with its sidecar and the table writer on the same machine
and a table on its disk; and the table writer alone. The table writer's identities are stand-ins: no API server.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, Final

from bench import report
from bench.bodies import Form
from bench.load import generator
from bench.path import pods, processes
from headrace.observability.tables.batch import Batch
from headrace.observability.tables.delta import InferenceDeltaTable

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))  # the tests' stand-ins

import orjson
from patience import eventually
from recorded_pod import RecordedPod, recorded_pod
from running_pod import RunningPod, running

BODY: Final = orjson.dumps({"dataframe_split": {"columns": pods.COLUMNS, "data": [[1.5] * len(pods.COLUMNS)]}})
BUSY, STEADY = "64 connections", "200 requests/s"
OFF, ON = "recording off", "recording on"
ROWS: Final = 100_000
BATCH_ROWS: Final = 5_000


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(prog="bench.observe")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    chosen = parser.parse_args()
    load_before = f"{os.getloadavg()[0]:.1f}"
    cells = [*writer_cells()]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, _both(Path(name)) as (off, on):
        cells += visible_cells(on)
        cells += front_cells(off, on, turns=chosen.turns, seconds=chosen.seconds)
        eventually(on.adds_up, seconds=120)
        attempted, rows = on.metrics()["attempted_total"], len(on.rows())
    values = {(cell.case, cell.system, cell.metric): cell.value for cell in cells}
    cells.append(report.single("the whole run", "requests", attempted, "requests", system=ON))
    bars = [
        report.at_least("throughput, on over off, 64 connections", values[BUSY, ON, "throughput over off"], 0.95, ""),
        report.at_most("p99 added at 200 requests/s", values[STEADY, ON, "p99 added"], 1.0, "ms"),
        report.at_most("p99 added, 64 connections", values[BUSY, ON, "p99 added"], 1.0, "ms"),
        report.at_least("rows of one writer on one core", values["table writer", "headrace", "rows"], 10_000, "rows/s"),
        report.at_most("row visible", values["one request", ON, "row visible"], 10, "s"),
        report.at_most("sidecar's CPU at 200 requests/s", values[STEADY, ON, "sidecar CPU"], 3, "% of a core"),
        report.at_most("sidecar's memory", values[STEADY, ON, "sidecar memory"], 80, "MiB"),
        report.at_most("requests without a row, or rows without a request", abs(attempted - rows), 0, "requests"),
    ]
    versions = {
        "load average before": load_before,
        "deltalake": version("deltalake"),
        "turns": str(chosen.turns),
        "seconds a turn": f"{chosen.seconds:g}",
    }
    report.write("observe", versions=versions, cells=cells, bars=bars)


@contextmanager
def _both(folder: Path) -> Iterator[tuple[RunningPod, RecordedPod]]:
    """A front that does not record, and one that does with all behind it; the same model."""
    with pods.front(folder):  # makes the model
        pass
    model = folder / "model"
    (folder / "off").mkdir()
    (folder / "on").mkdir()
    served, settings = ["--model", str(model), "--python", sys.executable], {"HEADRACE_WORKERS": "1"}
    with (
        running(RunningPod, folder / "off", served, settings, within_seconds=120) as off,
        recorded_pod(folder / "on", model, interval_seconds=3.0) as on,
    ):
        yield off, on


def front_cells(off: RunningPod, on: RecordedPod, *, turns: int, seconds: float) -> list[report.Cell]:
    """Both fronts in turns, so that a disturbance of the machine meets both; what compares compares turn by turn."""
    cells, sidecar = [], on.sidecar
    assert sidecar is not None
    serving = {OFF: RecordedPod(on.folder, off).serving_pid(), ON: on.serving_pid()}
    for case, load in ((BUSY, {"connections": 64}), (STEADY, {"connections": 32, "rate": 200.0})):
        found: dict[str, list[dict[str, Any]]] = {OFF: [], ON: []}
        cpu: list[float] = []
        micros: dict[str, list[float]] = {OFF: [], ON: []}
        for _ in range(turns):
            for system, port in ((OFF, off.port), (ON, on.front.port)):
                before, before_front = _cpu_seconds(sidecar.pid), _cpu_seconds(serving[system])
                form = Form(
                    name=system, path="/invocations", headers=(("Content-Type", "application/json"),), body=BODY
                )
                job = {**form.job("127.0.0.1", port), "warm_up_seconds": 0.5, "seconds": seconds, **load}
                found[system].append(generator.run(job))
                answered = sum(found[system][-1]["statuses"].values()) * (seconds + 0.5) / seconds
                micros[system].append(1e6 * (_cpu_seconds(serving[system]) - before_front) / answered)
                if system == ON:
                    cpu.append(100 * (_cpu_seconds(sidecar.pid) - before) / (seconds + 0.5))
        for system, results in found.items():
            cells.append(_cell(case, system, "requests", "requests/s", [one["requests_per_second"] for one in results]))
            cells.append(_cell(case, system, "front CPU", "us a request", micros[system]))
            cells.append(_cell(case, system, "p50", "ms", [one["p50_ms"] for one in results]))
            cells.append(_cell(case, system, "p99", "ms", [one["p99_ms"] for one in results]))
        pairs = list(zip(found[OFF], found[ON], strict=True))
        shares = [mine["requests_per_second"] / other["requests_per_second"] for other, mine in pairs]
        cells.append(_cell(case, ON, "throughput over off", "", shares))
        cells.append(_cell(case, ON, "p99 added", "ms", [mine["p99_ms"] - other["p99_ms"] for other, mine in pairs]))
        added = [mine - other for other, mine in zip(micros[OFF], micros[ON], strict=True)]
        cells.append(_cell(case, ON, "front CPU added", "us a request", added))
        cells.append(_cell(case, ON, "sidecar CPU", "% of a core", cpu))
        cells.append(_cell(case, ON, "sidecar memory", "MiB", [processes.resident_mebibytes(sidecar.pid)]))
    return cells


def visible_cells(on: RecordedPod) -> list[report.Cell]:
    """From an answer until its row is seen by a reader of its own."""
    seen = []
    for number in range(1, 6):
        form = Form(name=ON, path="/invocations", headers=(("Content-Type", "application/json"),), body=BODY)
        before = len(on.rows())
        generator.run({**form.job("127.0.0.1", on.front.port), "connections": 1, "rate": 1.0, "seconds": 1.0})
        answered = time.monotonic()
        eventually(lambda before=before: len(on.rows()) > before, seconds=30)  # type: ignore[misc]
        seen.append(time.monotonic() - answered)
        time.sleep(0.3 * number)
    return [_cell("one request", ON, "row visible", "s", seen)]


def writer_cells() -> list[report.Cell]:
    """Rows of 600 bytes read and committed, over the CPU time that this took: of one core."""
    rates = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        table = InferenceDeltaTable(f"{name}/fraud", {}, volume=PurePosixPath(name))
        for first in range(1, ROWS, BATCH_ROWS):
            lines = b"\n".join(orjson.dumps(_row(number)) for number in range(first, first + BATCH_ROWS))
            began = time.process_time()
            table.append([Batch.read(lines, pod_uid="pod")])
            rates.append(BATCH_ROWS / (time.process_time() - began))
    return [_cell("table writer", "headrace", "rows", "rows/s", rates)]


def _row(number: int) -> list[Any]:
    known = [
        "id",
        20787,
        None,
        1_796_000_000_000_000 + number,
        200,
        1.0,
        3,
        BODY.decode(),
        '{"predictions": [0.0]}',
        [],
    ]
    return [*known, "v7", "alice", None, "/invocations", None, None, "pod", number]


def _cpu_seconds(pid: int) -> float:
    return sum(processes.cpu_by_thread(pid).values()) / 1e9


def _cell(case: str, system: str, metric: str, unit: str, values: Sequence[float]) -> report.Cell:
    middle = statistics.median(values)
    return report.Cell(
        case=case, system=system, metric=metric, value=middle, unit=unit, low=min(values), high=max(values)
    )


if __name__ == "__main__":
    main()
