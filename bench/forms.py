"""`make bench-forms`: what a pod answers a second in every form of a request, bare, and whether any is left behind.

One front and its worker on the demo's kind of model (30 columns of doubles, logistic regression), without proxies. The
forms take turns, one and three rows each, at 64 connections, so that a disturbance of the machine meets all alike.
The table in docs/protocols.md is written from the result; `--page` writes it anew from the last one.
`--only TEXT` measures forms whose name holds the text and the plain one, prints them and writes nothing.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench import bodies, plot_style, report
from bench.bodies import Form
from bench.load import generator
from bench.runtime.systems import free_port, listening, session_members

CONNECTIONS: Final = 64
TURNS: Final = 2
WARM_UP_TURNS: Final = 3
SECONDS: Final = 1.0
WARM_UP_SECONDS: Final = 0.3
ROWS: Final = {"one row": 1, "three rows": 3}
LEAST: Final = "the least server of grpc.aio"
"""The peer of gRPC's forms: it reads nothing and computes nothing."""
SHARE: Final = 0.5
"""Of the fastest form's requests a second, what every other has to reach."""
FASTEST: Final = "split"
"""Measured with any others."""
ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "protocols.md"
MARKS: Final = ("<!-- python -m bench.forms --page -->\n", "<!-- end -->\n")
"""Between them is the table."""
_METRICS: Final = {
    "requests_per_second": "requests/s",
    "p50_ms": "ms",
    "p99_ms": "ms",
    "front_us": "us of CPU a request",
    "worker_us": "us of CPU a request",
    "generator_us": "us of CPU a request",
}


def main() -> None:
    """Measures every form and writes the result."""
    parser = argparse.ArgumentParser(prog="bench.forms")
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--only", help="part of the names of forms to measure, beside the plain one; writes nothing")
    parser.add_argument("--page", action="store_true", help="write the table of the last result, and measure nothing")
    arguments = parser.parse_args()
    if arguments.page:
        write_page()
        return
    if arguments.model:
        make_model(Path(arguments.model))
        return
    before = f"{os.getloadavg()[0]:.1f}"
    with tempfile.TemporaryDirectory(prefix="forms-") as temporary:
        directory = Path(temporary)
        subprocess.run([sys.executable, "-m", "bench.forms", "--model", temporary], check=True, cwd=ROOT)
        table = json.loads((directory / "table.json").read_text())
        measured = [
            Measured(case=case, form=form)
            for case, count in ROWS.items()
            for form in bodies.forms(table["columns"], table["rows"][:count]).values()
            if arguments.only is None or arguments.only in form.name or form.name == FASTEST
        ]
        least = [
            Measured(case=one.case, form=replace(one.form, name=LEAST))
            for one in measured
            if one.form.name == "gRPC raw, one tensor"
        ]
        with contextlib.ExitStack() as running:
            pod = running.enter_context(started_pod(directory))
            peer = running.enter_context(started_least(directory)) if least else pod
            warming = Measured(case="one row", form=measured[0].form)  # workers check their first merged calls
            for _ in range(WARM_UP_TURNS):
                warming.take_turn(pod)
            for _ in range(TURNS):
                for one in measured:
                    one.take_turn(pod)
                for one in least:
                    one.take_turn(peer)
    cells = [cell for one in (*measured, *least) for cell in one.cells()]
    for cell in cells:
        print(f"{cell.case:11} {cell.system:30} {cell.metric:20} {cell.value:10.1f} {cell.unit}", file=sys.stderr)
    bars = judge(cells)
    if arguments.only is not None:
        print(report.table(bars))
        return
    versions = {
        **{name: version(name) for name in ("httptools", "grpcio", "mlflow", "scikit-learn", "pandas")},
        "load average before": before,
        "load": "bench.load (epoll), a process of its own on the same cores",
    }
    path = report.write("forms", versions=versions, cells=cells, bars=bars)
    plot(cells, path.with_suffix(".png"))
    write_page()


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that is measured."""

    process: subprocess.Popen[bytes]
    port: int
    takes_http_2: bool
    """Whether gRPC comes in HTTP/2, as to the peer, and not in HTTP/1.1, as to a pod."""

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time of its workers, and of all else."""
        used = {"front": 0.0, "worker": 0.0}
        for pid in session_members(self.process.pid):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                used["worker" if b"--slot" in command else "front"] += time.clock_gettime((~pid << 3) | 2)
            except OSError:
                continue
        return used


@dataclass(kw_only=True)
class Measured:
    """One form of a table, and what came of its turns."""

    case: str
    form: Form
    turns: list[dict[str, float]] = field(default_factory=list)

    def take_turn(self, running: Running) -> None:
        """Asks for a while. RuntimeError where anything but predictions came back."""
        form = self.form.over_http_1() if self.form.grpc and not running.takes_http_2 else self.form
        to = form.job("127.0.0.1", running.port)
        load = {"connections": CONNECTIONS, "seconds": SECONDS, "warm_up_seconds": WARM_UP_SECONDS}
        before = running.cpu_seconds()
        result = generator.run({**to, **load, "apart": not form.grpc})
        used = {name: value - before[name] for name, value in running.cpu_seconds().items()}
        if not set(result["statuses"]) <= {"200"} or result["broken"]:
            raise RuntimeError(f"{self.form.name}, {self.case}: {result['statuses']}, {result['broken']} broken")
        # The warm-up is in the CPU time, hence in the divisor too.
        answered = max(1, result["statuses"].get("200", 0)) * (SECONDS + WARM_UP_SECONDS) / SECONDS
        cpu = {**used, "generator": result["client_cpu_seconds"]}
        self.turns.append({**result, **{f"{name}_us": 1e6 * value / answered for name, value in cpu.items()}})

    def cells(self) -> list[report.Cell]:
        """Medians over turns."""
        made = []
        for metric, unit in _METRICS.items():
            values = [turn[metric] for turn in self.turns if metric in turn]
            if values:
                made.append(
                    report.Cell(
                        case=self.case, system=self.form.name, metric=metric, value=statistics.median(values),
                        unit=unit, low=min(values), high=max(values),
                    )
                )  # fmt: skip
        return made


@contextlib.contextmanager
def started_pod(directory: Path) -> Iterator[Running]:
    """A front with its workers, as a pod runs them."""
    port, admin_port = free_port(), free_port()
    command = ["headrace.runtimes", "--model", str(directory / "model"), "--python", sys.executable]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--admin-port", str(admin_port), "--run-directory", str(directory / "run")]
    with _started(command, directory / "front.log") as process:
        _answering(process, f"http://127.0.0.1:{port}/ping", directory / "front.log")
        yield Running(process=process, port=port, takes_http_2=False)


@contextlib.contextmanager
def started_least(directory: Path) -> Iterator[Running]:
    """The peer of gRPC."""
    port = free_port()
    with _started(["bench.runtime.least_rpc", str(port)], directory / "least.log") as process:
        listening(port)
        yield Running(process=process, port=port, takes_http_2=True)


@contextlib.contextmanager
def _started(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment,
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    members = [process.pid]
    try:
        yield process
        members = session_members(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _answering(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(url, timeout=10)
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the pod did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.2)


def make_model(directory: Path) -> None:
    """The demo's kind of model and the rows of its input example, in a process of its own."""
    import mlflow  # noqa: PLC0415 -- heavy, and wanted in this process only
    from mlflow.models import infer_signature  # noqa: PLC0415
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    features, target = load_breast_cancer(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features, target)
    example = features.iloc[18:21]
    mlflow.sklearn.save_model(
        model,
        str(directory / "model"),
        signature=infer_signature(features, model.predict(features)),
        input_example=example,
        pip_requirements=["mlflow"],
        serialization_format="cloudpickle",
    )
    table = {"columns": list(features.columns), "rows": example.to_numpy().tolist()}
    (directory / "table.json").write_text(json.dumps(table))


def judge(cells: Sequence[report.Cell]) -> list[report.Bar]:
    """The bars: each form against half of the fastest, with as many rows."""
    rates = {(cell.case, cell.system): cell.value for cell in cells if cell.metric == "requests_per_second"}
    bars = []
    for case in ROWS:
        of_case = {system: rate for (name, system), rate in rates.items() if name == case and system != LEAST}
        fastest = max(of_case, key=lambda system: of_case[system])
        ceiling = rates.get((case, LEAST), 0.0) / of_case[fastest]
        for system, rate in of_case.items():
            bar = report.at_least(
                f"{case}, {system}: share of the fastest ({fastest})", rate / of_case[fastest], SHARE, ""
            )
            if system.startswith("gRPC") and ceiling:
                bar = replace(bar, rule=f"{bar.rule}; {LEAST} {ceiling:.2f}")
            bars.append(bar)
    return bars


def table(result: dict[str, Any]) -> str:
    """What each form costs, as a table of docs/protocols.md."""
    values = {(cell["case"], cell["system"], cell["metric"]): cell["value"] for cell in result["cells"]}
    holds = {bar["name"].partition(": ")[0]: bar["holds"] for bar in result["bars"]}
    lines = ["| form | one row: requests/s | front, worker | three rows: requests/s | front, worker | |"]
    lines.append("|---|---|---|---|---|---|")
    for system in dict.fromkeys(cell["system"] for cell in result["cells"]):
        columns = []
        for case in ROWS:
            rate, front, worker = (
                values.get((case, system, metric), 0.0) for metric in ("requests_per_second", "front_us", "worker_us")
            )
            columns += [f"{rate:,.0f}", f"{front:.0f} + {worker:.0f} µs" if worker else f"{front:.0f} µs"]
        judged = [holds[f"{case}, {system}"] for case in ROWS if f"{case}, {system}" in holds]
        verdict = "" if all(judged) else "less than half of the fastest"
        lines.append(f"| {system} | {' | '.join(columns)} | {verdict} |")
    return "\n".join(lines) + "\n"


def write_page() -> None:
    """Puts the table of the last result into the page."""
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    result = json.loads((report.RESULTS / "forms.json").read_text())
    PAGE.write_text(before + MARKS[0] + table(result) + MARKS[1] + rest.partition(MARKS[1])[2])


def plot(cells: Sequence[report.Cell], path: Path) -> None:
    """Requests a second of each form, and the line that none should stay left of."""
    rates = {(cell.case, cell.system): cell.value for cell in cells if cell.metric == "requests_per_second"}
    systems = list(dict.fromkeys(system for _, system in rates))
    figure, axes = plot_style.panels(1, len(ROWS), width=12, height=5.4, sharey=True)
    for axis, case in zip(axes[0], ROWS, strict=True):
        values = [rates[case, system] for system in systems]
        least = SHARE * max(value for value, system in zip(values, systems, strict=True) if system != LEAST)
        colours = [
            plot_style.FAINT if system == LEAST else plot_style.GOOD if value >= least else plot_style.BAD
            for value, system in zip(values, systems, strict=True)
        ]
        plot_style.values_on(axis, axis.barh(systems, values, color=colours), [f"{value:,.0f}" for value in values])
        axis.axvline(least, color=plot_style.INK, linestyle="--", linewidth=1)
        axis.set_title(f"{case}, {CONNECTIONS} connections")
        axis.set_xlabel("requests/s; dashed: half of the fastest")
        plot_style.scale(axis, values, which="x")
    axes[0][0].invert_yaxis()
    plot_style.save(figure, path)


if __name__ == "__main__":
    main()
