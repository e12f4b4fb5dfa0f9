"""How long it takes to come up, to change and to go back: `make bench-deploy`.

Runs on the embedded cluster with the toolchain cached; takes the cluster down first, and leaves the platform running.
The image cache of the first demo is empty, as on a machine that has never built an image. The stack of 50 endpoints is
made and removed at the end: it takes minutes, in which 50 pods load a model on two cores.
"""

import json
import os
import shutil
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import plot_style, report
from headrace.contract import names
from headrace.local import cluster, cluster_layout, demo, demo_model, target_cluster, tracking_server
from headrace.local.paths import cache_directory
from headrace.local.pulumi_stack import PulumiStack
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import KUBERNETES_VERSION, PULUMI_VERSION


def main() -> None:
    """Measures every step once, in the order in which a user meets them."""
    progress = Progress("bench-deploy", steps=4)
    programs = builder.deployer(progress)
    builder.kubernetes(progress)
    cells: list[report.Cell] = []
    demo.down()
    with _empty_image_cache():
        cells.append(_timed("cluster start", lambda: cluster.start(progress)))
        cells.append(report.single("idle control plane", "resident memory", _idle_mebibytes(), "MiB"))
        cells.append(report.single("idle control plane", "processor", _idle_cores(), "cores"))
        cells.append(_timed("first demo", demo.run))
        cells.append(_timed("second demo", demo.run))
        stack = PulumiStack(programs=programs)
        cells += _changes(stack)
        cells += _many_endpoints(stack)
    value = {(cell.case, cell.metric): cell.value for cell in cells}
    bars = [
        report.at_most("cluster start", value["cluster start", "wall"], 40, "s"),
        report.at_most("first make demo after that", value["first demo", "wall"], 180, "s"),
        report.at_most("second make demo", value["second demo", "wall"], 60, "s"),
        report.at_most("pulumi up without change", value["no change", "wall"], 5, "s"),
        report.at_most("new version to first answer", value["new version", "wall"], 9, "s"),
        report.at_most("rollback to first answer", value["rollback", "wall"], 15, "s"),
        report.at_most("50 new endpoints, preview", value["50 new endpoints, preview", "wall"], 25, "s"),
        report.at_most("50 endpoints, preview without change", value["50 endpoints, preview", "wall"], 25, "s"),
        report.at_most("50 endpoints, up without change", value["50 endpoints, no change", "wall"], 25, "s"),
        report.at_most(
            "image delta of a new version",
            value["new version", "image delta"],
            value["new version", "model size"] + 64 * 1024,
            "B",
        ),
        report.at_most("failed requests during change", value["changes", "failed requests"], 0, "requests"),
        report.at_most("idle control plane, memory", value["idle control plane", "resident memory"], 1536, "MiB"),
        report.at_most("idle control plane, processor", value["idle control plane", "processor"], 0.5, "cores"),
    ]
    versions = {"kubernetes": KUBERNETES_VERSION, "pulumi": PULUMI_VERSION}
    path = report.write("deploy", versions=versions, cells=cells, bars=bars)
    _plot(bars, path.with_suffix(".png"))
    print(path.read_text())


def _timed(case: str, work: Callable[[], object]) -> report.Cell:
    started = time.monotonic()
    work()
    return report.single(case, "wall", time.monotonic() - started, "s")


def _changes(stack: PulumiStack) -> list[report.Cell]:
    """No change, a new version with the same environment, and back, under a light load that counts every failure."""
    description = json.loads(demo.description_file().read_text())
    place = target_cluster.ensure(Progress("bench-deploy", steps=1))
    newer = demo_model.register_next(tracking_server.uri())
    older = demo_model.ensure(tracking_server.uri())

    def up(model_uri: str) -> None:
        stack.up(demo.settings(place, place.host, [{"name": demo_model.NAME, "model_uri": model_uri}]))

    watcher = _Watcher(description, older.request)
    cells = [_timed("no change", lambda: up(older.model_uri))]
    with watcher:
        before = _content()
        started = time.monotonic()
        up(newer.model_uri)
        cells.append(report.single("new version", "wall", watcher.first_answer(newer.model_uri) - started, "s"))
        added = {digest: size for digest, size in _content().items() if digest not in before}
        cells.append(report.single("new version", "image delta", sum(added.values()), "B"))
        cells.append(report.single("new version", "model size", _model_bytes(newer.model_uri), "B"))
        started = time.monotonic()
        up(older.model_uri)
        cells.append(report.single("rollback", "wall", watcher.first_answer(older.model_uri, started) - started, "s"))
    cells.append(report.single("changes", "requests", watcher.asked, "requests"))
    cells.append(report.single("changes", "failed requests", watcher.failed, "requests"))
    return cells


def _many_endpoints(stack: PulumiStack) -> list[report.Cell]:
    """What Pulumi takes for a stack of 50 endpoints of one registered model, beside the demo's own.

    Each pod has a tenth of a core, so that the node places them all, and the time that it takes to load the model so.
    """
    place = target_cluster.ensure(Progress("bench-deploy", steps=1))
    model = demo_model.ensure(tracking_server.uri())
    own = {"name": demo_model.NAME, "model_uri": model.model_uri}
    small = {"model_uri": model.model_uri, "cpu": 0.1, "memory_mib": 320, "start_seconds": 1200}
    many = [{"name": f"many-{number:02}", **small} for number in range(50)]
    settings = demo.settings(place, place.host, [own, *many])
    cells = [_timed("50 new endpoints, preview", lambda: stack.up(settings, preview=True))]
    try:
        stack.up(settings)
        cells.append(_timed("50 endpoints, preview", lambda: stack.up(settings, preview=True)))
        cells.append(_timed("50 endpoints, no change", lambda: stack.up(settings)))
    finally:
        stack.up(demo.settings(place, place.host, [own]))
    return cells


class _Watcher:
    """Asks for a prediction every 50 ms and remembers when which version answered, and every failure."""

    def __init__(self, description: dict[str, Any], body: dict[str, Any]) -> None:
        self._context = ssl.create_default_context(cafile=description["ca_file"])
        self._request = urllib.request.Request(
            description["url"] + names.invocations_path(description["endpoint"]),
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {description['token']}", "Content-Type": "application/json"},
        )
        self._answers: list[tuple[float, str]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.asked = 0
        self.failed = 0

    def __enter__(self) -> "_Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def first_answer(self, model_uri: str, since: float = 0.0) -> float:
        """When (monotonic seconds) the version first answered after `since`; waits for it, a minute at most."""
        served = f"v{model_uri.rpartition('/')[2]}"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for moment, version in self._answers:
                if version == served and moment > since:
                    return moment
            time.sleep(0.05)
        raise SystemExit(f"bench-deploy: {served} never answered; the answers came from {self._answers[-1:]}")

    def _ask(self) -> None:
        while not self._stop.wait(0.05):
            self.asked += 1
            try:
                with urllib.request.urlopen(self._request, context=self._context, timeout=10) as response:
                    self._answers.append((time.monotonic(), response.headers[names.SERVED_MODEL_HEADER]))
            except (urllib.error.URLError, OSError) as error:
                self.failed += 1
                print(f"bench-deploy: request {self.asked} failed: {error}")


def _content() -> dict[str, int]:
    """Blobs in the cluster's containerd: digest → bytes."""
    blobs = cluster_layout.folders().containerd / "root/io.containerd.content.v1.content/blobs/sha256"
    return {path.name: path.stat().st_size for path in blobs.iterdir()}


def _model_bytes(model_uri: str) -> int:
    import mlflow  # noqa: PLC0415 - takes seconds to import

    mlflow.set_tracking_uri(tracking_server.uri())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=folder))
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _idle_mebibytes() -> float:
    time.sleep(20)  # the controllers' first lists are over
    return cluster.status().resident_bytes / 2**20


def _idle_cores(seconds: float = 20.0) -> float:
    """Cores that the cluster's own programs use together (proc(5), utime and stime)."""

    def ticks() -> int:
        total = 0
        for pid_file in cluster_layout.folders().processes.glob("*.pid"):
            stat = Path(f"/proc/{pid_file.read_text().split()[0]}/stat")
            if stat.exists():
                fields = stat.read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total

    before = ticks()
    time.sleep(seconds)
    return (ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds


@contextmanager
def _empty_image_cache() -> Iterator[None]:
    """A cache that shares the toolchain with the real one and has no images."""
    real = cache_directory()
    folder = Path(tempfile.mkdtemp(dir=real, prefix="bench-"))
    (folder / "toolchain").symlink_to(real / "toolchain")
    os.environ["HEADRACE_CACHE"] = str(folder)
    try:
        yield
    finally:
        os.environ["HEADRACE_CACHE"] = str(real)
        shutil.rmtree(folder, ignore_errors=True)


def _plot(bars: list[report.Bar], path: Path) -> None:
    """Each time as a share of its bar: shorter than the line is better."""
    timed = [bar for bar in bars if bar.rule.endswith(" s")]
    shares = [bar.value / float(bar.rule.split()[1]) for bar in timed]
    figure, axes = plot_style.panels(1, 1, height=0.45 * len(timed) + 1.1)
    axis = axes[0][0]
    found = axis.barh(
        [bar.name for bar in timed],
        shares,
        height=0.6,
        color=[plot_style.GOOD if bar.holds else plot_style.BAD for bar in timed],
    )
    texts = [f"{bar.value:.1f} s of {bar.rule.split()[1]} s" for bar in timed]
    plot_style.values_on(axis, found, texts)
    axis.axvline(1.0, color=plot_style.INK, linestyle="--", linewidth=1)
    axis.set_xlim(0, 1.25 * max(1.0, *shares))
    axis.set_title("Coming up, changing, going back")
    axis.set_xlabel("share of the bar (dashed)")
    axis.grid(visible=False, axis="y")
    axis.invert_yaxis()
    plot_style.save(figure, path)


if __name__ == "__main__":
    main()
