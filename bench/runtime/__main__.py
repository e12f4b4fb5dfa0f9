"""`make bench-runtime`: bench/results/runtime.json, a plot beside it, and the bars as a table.

`python -m bench.runtime --quick` takes one short turn of each case, to see that all systems start and answer.
`python -m bench.runtime --against CHECKOUT` compares with older code instead: bench/results/runtime-against.json.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import plot_style, report
from bench.load import generator
from bench.runtime import against, environments, measure, overload, systems
from bench.runtime.measure import Case, Table
from bench.runtime.systems import Model, Served
from headrace.local.paths import CHECKOUT

SYSTEMS = tuple(systems.SETTINGS)
SINGLE = ("logistic", "forest", "xgboost", "cnn")
COUNTS = {"logistic": (1, 8, 64), "forest": (1, 64), "xgboost": (1, 64), "cnn": (1, 64)}
COMPARED = (*SINGLE, "wide", "waiting")
"""Models that are compared with older code."""
SERVES = {"cnn": SYSTEMS[:4], "waiting": SYSTEMS[:5], "computing": SYSTEMS[:1]}
"""Systems that serve a model, where not all do: the environments of Ray and MLServer are without torch, and MLServer's
MLflow runtime refuses the request of the waiting model as it is written here."""
ANEW = "measured anew after the others"
"""Which models `--only` has measured since the last whole run."""
WAITING_CONNECTIONS = 32
WAITING_SECONDS = 0.1

BARE = """
import json, sys, time, mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
columns = json.loads(sys.argv[2])
times = []
for _ in range(400):
    started = time.perf_counter()
    model.predict(pd.DataFrame([[1.0] * len(columns)], columns=columns)).tolist()
    times.append(time.perf_counter() - started)
print(sorted(times[100:])[150] * 1e3)
"""

MERGED_ROWS = 64
ALONE = f"the model alone on all cores, {MERGED_ROWS} rows a call"
FASTEST = {"forest": "forest, one warning filter"}
"""Models that our server makes faster than they are by themselves, and how."""
ALONE_WIDE = "the model alone on all cores, 1,000 rows a call"
MERGED = """
import json, sys, time, warnings, mlflow.pyfunc, numpy as np, pandas as pd
model, columns, row, count = mlflow.pyfunc.load_model(sys.argv[1]), *map(json.loads, sys.argv[2:5])
data = pd.DataFrame([row] * count, columns=columns) if columns else np.asarray([row] * count, dtype=np.float32)
if sys.argv[5] == "one filter":
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
predict = model._model_impl.predict
for _ in range(20):
    predict(data)
print("ready", flush=True)
sys.stdin.readline()
calls, started = 0, time.perf_counter()
while time.perf_counter() - started < 2:
    predict(data)
    calls += 1
print(calls * count / (time.perf_counter() - started))
"""


def main() -> None:
    """Measures everything and writes the result."""
    parser = argparse.ArgumentParser(prog="bench.runtime")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", help="a model to measure anew, beside what the last run kept")
    parser.add_argument("--overload", action="store_true", help="of --only, measure nothing but its overload")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="older code, with its environment")
    parser.add_argument("--connections", type=int, help="of --against, measure only cases of so many")
    arguments = parser.parse_args()
    quick, only = arguments.quick, arguments.only or []
    turns, seconds = (1, 1.0) if quick else (2, 1.5)
    directory = environments.cache() / "models"
    make_models(directory)
    make_models(directory, environment="torch", script="make_torch_model.py")
    if arguments.against is not None:
        compare(
            arguments.against.resolve(), directory, only or COMPARED, connections=arguments.connections, quick=quick
        )
        return
    cells: list[report.Cell] = []
    versions = {
        **systems.SETTINGS,
        **environment_versions(),
        "load": "bench.load (epoll), a process of its own on the same cores",
        "load average before": f"{os.getloadavg()[0]:.1f}",
    }
    if only:
        kept = json.loads((report.RESULTS / "runtime.json").read_text())
        cells = [report.Cell(**cell) for cell in kept["cells"]]
        before = [name for name in kept["versions"].get(ANEW, "").split(", ") if name and name not in only]
        versions |= {ANEW: ", ".join([*before, *only])}
    with tempfile.TemporaryDirectory() as temporary:
        logs = Path(temporary)
        for name in only or (*SINGLE, "wide", "waiting", "computing"):
            model = Model(directory=directory, name=name, columns=columns_of(directory, name))
            running: list[Served] = []
            try:
                # Two at a time: most of a start is imports, and waiting for the other processes of a server.
                with ThreadPoolExecutor(2) as starting:
                    wanted = SYSTEMS[:1] if arguments.overload else SERVES.get(name, SYSTEMS)
                    for system, served in zip(
                        wanted,
                        starting.map(lambda system, model=model: started(system, model, logs), wanted),
                        strict=True,
                    ):
                        if served is None:
                            versions[f"{system} on {name}"] = "did not start"
                        else:
                            running.append(served)
                if not arguments.overload:
                    cells += measured(model, running, turns, seconds)
                if name in overload.JUDGED:
                    cells += overload.cells(running[0], model, 2.0 if quick else 4.0)
            finally:
                for served in running:
                    served.stop()
            # After each model: a run that is cut short leaves what it measured, and the bars it cannot judge as missed.
            cells = list({(cell.case, cell.system, cell.metric): cell for cell in cells}.values())  # the newer of two
            bars = judge(Table(cells))
            path = report.write("runtime", versions=versions, cells=cells, bars=bars)
            plot(Table(cells), path.with_suffix(".png"))


def compare(checkout: Path, directory: Path, names: Sequence[str], *, connections: int | None, quick: bool) -> None:
    """These models on our own server and on that of older code, by turns; `connections`: only such cases."""
    turns, seconds = (1, 1.0) if quick else (7, 3.0)
    cells: list[report.Cell] = []
    with tempfile.TemporaryDirectory() as logs:
        for name in names:
            model = Model(directory=directory, name=name, columns=columns_of(directory, name))
            running = against.start_both(model, Path(logs), checkout)
            try:
                cases = [case for case in cases_for(model, seconds) if connections in (None, case.connections)]
                measure.in_turns(cases, running, turns=turns)
                if name == "logistic" and connections is None:
                    cases.append(csv_case(model, running, turns, seconds))
            finally:
                for served in running:
                    served.stop()
            cells += [cell for case in cases for cell in against.cells(case)]
            versions = {"headrace": against.commit(CHECKOUT), "before": against.commit(checkout)}
            report.write("runtime-against", versions=versions, cells=cells, bars=against.bars(cells))


def measured(model: Model, running: list[Served], turns: int, seconds: float) -> list[report.Cell]:
    """One model on every system that serves it, and by itself."""
    name = model.name
    cases = cases_for(model, seconds)
    measure.in_turns(cases, running, turns=turns)
    cells = [cell for case in cases for cell in case.cells()]
    for cell in cells:
        print(cell.case, cell.system, cell.metric, round(cell.value, 3), file=sys.stderr, flush=True)
    if name == "logistic":
        cells += csv_case(model, running[:2], turns, seconds).cells()
        bare = bare_milliseconds(str(environments.interpreter("peers")), model)
        cells.append(report.single("bare predict", "p50_ms", bare, "ms"))
    if name in SINGLE:
        cells.append(report.single(ALONE, name, alone(model), "rows/s", system="in process"))
    if name == "wide":
        requests = alone(model, rows=1000) / 1000
        cells.append(report.single(ALONE_WIDE, name, requests, "requests/s", system="in process"))
    if name in FASTEST:
        one = alone(model, filters="one filter")
        cells.append(report.single(ALONE, FASTEST[name], one, "rows/s", system="in process"))
    return cells


def make_models(directory: Path, *, environment: str = "peers", script: str = "make_models.py") -> None:
    """Trains and saves models with the versions that serve them."""
    python = str(environments.interpreter(environment))
    subprocess.run([python, str(Path(__file__).with_name(script)), str(directory)], check=True)


def started(system: str, model: Model, logs: Path) -> Served | None:
    """A running system; None when a peer fails to start twice, which Ray does on a busy machine."""
    for _ in range(2):
        try:
            served = systems.start(system, model, logs)
        except RuntimeError as error:
            print(f"{system} on {model.name}: {str(error)[-300:]}", file=sys.stderr)
            continue
        print(f"{system} on {model.name}", file=sys.stderr, flush=True)
        return served
    if system == "headrace":
        raise RuntimeError(f"our own server does not start on {model.name}")
    return None


def columns_of(directory: Path, name: str) -> list[str]:
    columns: list[str] = json.loads((directory / f"{name}.columns.json").read_text())
    return columns


def cases_for(model: Model, seconds: float) -> list[Case]:
    """Which loads a model gets."""
    row = row_of(model)
    if model.name == "computing":
        return []  # it is there for the overload
    if model.name == "wide":
        return [Case("wide 1000 x 30, 4 connections", [row] * 1000, 4, seconds)]
    if model.name == "waiting":
        return [Case(f"waiting 100 ms, {WAITING_CONNECTIONS} connections", [row], WAITING_CONNECTIONS, seconds)]
    return [Case(f"{model.name}, {count} connections", [row], count, seconds) for count in COUNTS[model.name]]


def csv_case(model: Model, running: list[Served], turns: int, seconds: float) -> Case:
    """CSV, measured on some systems; of the peers only MLflow's own server reads it."""
    row = ",".join(["1.5"] * len(model.columns))
    body = ",".join(model.columns) + "\n" + "\n".join([row] * 10) + "\n"
    case = Case("CSV of 10 rows, 8 connections", [], 8, seconds)
    for _ in range(turns):
        for served in running:
            job = served.job(body, "text/csv", connections=8, seconds=seconds)
            case.results.setdefault(served.name, []).append(generator.run(job))
    return case


def bare_milliseconds(python: str, model: Model) -> float:
    """Median of pyfunc.predict in its own process, with nothing around it."""
    done = subprocess.run(
        [python, "-c", BARE, model.path, json.dumps(model.columns)], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def alone(model: Model, *, rows: int = MERGED_ROWS, filters: str = "") -> float:
    """Rows a second of the model in as many processes as there are cores, with no server around it: none does more."""
    python = str(environments.interpreter("torch" if model.name == "cnn" else "peers"))
    arguments = [json.dumps(value) for value in (model.columns, row_of(model), rows)]
    command = [python, "-c", MERGED, model.path, *arguments, filters]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment)
        for _ in range(os.cpu_count() or 1)
    ]
    for process in running:
        assert process.stdout is not None
        while process.stdout.readline().strip() not in ("ready", ""):
            continue
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(float(process.communicate()[0].split()[-1]) for process in running)


def row_of(model: Model) -> Any:
    """One row, or image, that a model takes."""
    return [1.0 + at / 10 for at in range(len(model.columns))] if model.columns else systems.IMAGE


def judge(table: Table) -> list[report.Bar]:
    """The bars of the issue, each whether it holds or not."""
    bars = []
    cores = os.cpu_count() or 1
    rate, cpu = "requests_per_second", "cpu_ms_per_request"
    for name in SINGLE:
        case = f"{name}, 64 connections"
        ours = table.value(case, "headrace", rate)
        # What full cores would do: with the model's own CPU, merged, and the generator's; and with the server's CPU.
        generator = table.value(case, "headrace", "generator_cpu_ms_per_request") / 1e3
        model = cores / table.value(ALONE, "in process", FASTEST.get(name, name))
        ceiling = cores / (model + generator)
        ours_full = cores / (table.value(case, "headrace", cpu) / 1e3 + generator)
        for rival, theirs, least in (
            ("mlflow models serve", table.value(case, "mlflow", rate), 25),
            ("the best peer", table.best_peer(case, rate), 5),
        ):
            bar = report.at_least(f"{case}: over {rival}", ours / theirs, least, "x")
            limits = f"{ceiling / theirs:.1f} x with no server, {ours_full / theirs:.1f} x with ours"
            measured = math.isfinite(ceiling + ours_full)
            bars.append(replace(bar, rule=f"{bar.rule}; full cores allow {limits}") if measured else bar)
        saved = table.best_peer(case, cpu, least=True) / table.value(case, "headrace", cpu)
        bars.append(report.at_least(f"{case}: CPU a request, best peer over ours", saved, 1, "x"))
        ratio = table.value(case, "headrace", "p99_ms") / table.best_peer(case, "p99_ms", least=True)
        bars.append(report.at_most(f"{case}: p99 over the best peer's", ratio, 1, "x"))
        for metric in ("p50_ms", "p99_ms"):
            lone = f"{name}, 1 connections"
            ratio = table.value(lone, "headrace", metric) / table.best_peer(lone, metric, least=True)
            bars.append(report.at_most(f"{name}, 1 connection: {metric[:3]} over the best peer's", ratio, 1, "x"))
    added = table.value("logistic, 1 connections", "headrace", "p50_ms") - table.value(
        "bare predict", "headrace", "p50_ms"
    )
    bars.append(report.at_most("front and socket over a bare predict, p50", added, 1, "ms"))
    waiting = f"waiting 100 ms, {WAITING_CONNECTIONS} connections"
    ideal = WAITING_CONNECTIONS / WAITING_SECONDS
    bars.append(
        report.at_least("waiting model: share of the ideal", table.value(waiting, "headrace", rate) / ideal, 0.95, "")
    )
    wide = "wide 1000 x 30, 4 connections"
    theirs = table.best_peer(wide, rate)
    bar = report.at_least("wide payload: over the best peer", table.value(wide, "headrace", rate) / theirs, 2, "x")
    most = table.value(ALONE_WIDE, "in process", "wide") / theirs
    bars.append(replace(bar, rule=f"{bar.rule}; the model alone {most:.1f} x"))
    csv = "CSV of 10 rows, 8 connections"
    ratio = table.value(csv, "headrace", rate) / table.value(csv, "mlflow", rate)
    bars.append(report.at_least("CSV: over mlflow models serve", ratio, 1, "x"))
    bars += overload.bars(table)
    return [
        bar if math.isfinite(bar.value) else replace(bar, value=0.0, holds=False, rule=f"{bar.rule}, not measured")
        for bar in bars
    ]


def environment_versions() -> dict[str, str]:
    """Pinned versions of the peers, by environment."""
    return {f"environment {name}": ", ".join(requirements) for name, requirements in environments.REQUIREMENTS.items()}


def plot(table: Table, path: Path) -> None:
    """Requests a second and CPU a request at 64 connections, a group a model."""
    figure, axes = plot_style.panels(1, 2, width=15, height=4.2)
    handles: dict[str, Any] = {}
    for axis, metric, title, unit in (
        (axes[0][0], "requests_per_second", "Single rows, 64 connections: more is better", "requests/s"),
        (axes[0][1], "cpu_ms_per_request", "Single rows, 64 connections: less is better", "CPU ms a request"),
    ):
        shown = []
        for place, system in enumerate(SYSTEMS):
            values = [table.value(f"{name}, 64 connections", system, metric) for name in SINGLE]
            shown += values
            handles[plot_style.name(system)] = found = axis.bar(
                [at + place * 0.145 for at in range(len(SINGLE))], values, width=0.135, color=plot_style.colour(system)
            )
            texts = ["" if math.isnan(value) else plot_style.number(value) for value in values]
            plot_style.values_on(axis, found, texts)
        axis.set_xticks([at + 0.36 for at in range(len(SINGLE))], [plot_style.name(name) for name in SINGLE])
        axis.set_title(title)
        axis.set_ylabel(unit)
        plot_style.scale(axis, shown)
    plot_style.legend(figure, handles)
    plot_style.save(figure, path)


if __name__ == "__main__":
    main()
