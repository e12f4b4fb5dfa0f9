"""From the order of a pod to its first answer, phase by phase: `make bench-starts`, some four minutes.

Runs on the embedded cluster, after `make demo` (which it runs, if it must). The autoscaler is stopped meanwhile, so
that nobody else gives orders; the Deployment's scale subresource does, as the autoscaler would. Callers ask through
PoP and load balancer all the time. Moments of the cluster are when a watch of the API server tells them (its own times
have whole seconds); those within the pod are what it says on its admin port, counted from its process's start. All
clocks are this machine's. CPU time is the pod's cgroup's, from its making until the pod is Ready.
"""

import argparse
import http.client
import json
import os
import ssl
import statistics
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import kubernetes

from bench import page, plot_style, report
from headrace.contract import metrics, names
from headrace.local import demo, demo_model, tracking_server
from headrace.local.toolchain.programs import KUBERNETES_VERSION

PHASES: Final = (
    ("pod made", "Deployment and ReplicaSet controllers make the pod"),
    ("scheduled", "the scheduler finds a node"),
    ("process", "kubelet, containerd and CNI: volumes, sandbox, network, container"),
    ("front", "the front is imported and listens"),
    ("import", "the worker imports MLflow"),
    ("load", "the model and its libraries"),
    ("warm", "the input example is predicted"),
    ("prove", "what may be merged is proven"),
    ("tell", "the worker's word reaches the front"),
    ("probed", "the kubelet asks, and writes Ready"),
    ("listed", "the pod is in the EndpointSlice"),
    ("answered", "the balancer hears of it and the first answer is back"),
)
"""They follow each other and add up."""
_BEFORE: Final = ("#8a8f98", "#a9adb5", "#6b7280")
_LOADING: Final = ("#56b4e9", "#0072b2", "#004c7a")
_AFTER: Final = ("#009e73", "#d55e00", "#e69f00", "#b8a000", "#8c6239", "#cc79a7")
PHASE_COLOURS: Final = dict(zip((phase for phase, _ in PHASES), (*_BEFORE, *_LOADING, *_AFTER), strict=True))
"""Grey before the pod's own start, blue while libraries and model are loaded, others after that."""
LEAST_SHOWN_SECONDS: Final = 0.12
"""A shorter phase has no room for its number."""
IN_POD: Final = ("front", "import", "load", "warm", "prove", "tell")
BAR_SECONDS, BAR_CPU_SECONDS = 3.0, 2.0
_GROUPS: Final = Path("/sys/fs/cgroup")
_VERSION: Final = "v1"


@dataclass(frozen=True, kw_only=True)
class Started:
    """One start."""

    phases: dict[str, float]
    """Seconds of each."""
    cpu_seconds: float

    @property
    def seconds(self) -> float:
        """From the order to the first answer."""
        return sum(self.phases.values())


class Callers:
    """Two callers, each of which asks again ten milliseconds after an answer."""

    def __init__(self, description: dict[str, Any], body: dict[str, Any]) -> None:
        self._address = urllib.parse.urlsplit(description["url"])
        self._context = ssl.create_default_context(cafile=description["ca_file"])
        self._path = names.invocations_path(description["endpoint"])
        self._headers = {"Authorization": f"Bearer {description['token']}", "Content-Type": "application/json"}
        self._body = json.dumps(body).encode()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(2)]
        self.answered: list[float] = []
        """When a 200 came, in seconds of the day's clock."""

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        host, port = str(self._address.hostname), demo.NODE_PORT if self._address.port is None else self._address.port
        connection = http.client.HTTPSConnection(host, port, context=self._context, timeout=10)
        while not self._stop.wait(0.01):
            try:
                connection.request("POST", self._path, self._body, self._headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.answered.append(time.time())
            except (OSError, http.client.HTTPException):
                connection.close()


class Namespace:
    """The endpoint's namespace, watched: when each pod was made, scheduled, Ready, and listed."""

    def __init__(self, kubeconfig: str, name: str) -> None:
        self._client = kubernetes.config.new_client_from_config(kubeconfig)
        self.name = name
        self._core = kubernetes.client.CoreV1Api(self._client)
        self._apps = kubernetes.client.AppsV1Api(self._client)
        self._discovery = kubernetes.client.DiscoveryV1Api(self._client)
        self.moments: dict[str, dict[str, float]] = {}
        """By the pod's name."""
        self.addresses: dict[str, str] = {}
        self.uids: dict[str, str] = {}
        self.cpu: dict[str, float] = {}
        for work in (
            lambda: self._follow(self._core.list_namespaced_pod, self._pod),
            lambda: self._follow(self._discovery.list_namespaced_endpoint_slice, self._slice),
        ):
            threading.Thread(target=work, daemon=True).start()

    def _follow(self, listed: Any, saw: Callable[[dict[str, Any]], None]) -> None:
        while True:
            try:
                for event in kubernetes.watch.Watch().stream(listed, self.name, timeout_seconds=300):
                    saw(event["raw_object"])
            except (OSError, kubernetes.client.ApiException) as error:
                print(f"bench-starts: watching again: {error}", file=sys.stderr)
                time.sleep(0.2)

    def _pod(self, pod: dict[str, Any]) -> None:
        now, name, status = time.time(), pod["metadata"]["name"], pod.get("status", {})
        moments = self.moments.setdefault(name, {})
        moments.setdefault("pod made", now)
        self.uids[name] = pod["metadata"]["uid"]
        if pod["spec"].get("nodeName"):
            moments.setdefault("scheduled", now)
        if status.get("podIP"):
            self.addresses[name] = status["podIP"]
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
        if ready and "probed" not in moments:
            moments["probed"] = now
            self.cpu[name] = cpu_seconds(self.uids[name])

    def _slice(self, found: dict[str, Any]) -> None:
        now = time.time()
        for each in found.get("endpoints") or ():
            name = (each.get("targetRef") or {}).get("name")
            if name and each.get("conditions", {}).get("ready"):
                self.moments.setdefault(name, {}).setdefault("listed", now)

    def scale(self, replicas: int) -> float:
        """Orders so many pods; when it did, in seconds of the day's clock."""
        ordered = time.time()
        self._apps.patch_namespaced_deployment_scale(_VERSION, self.name, {"spec": {"replicas": replicas}})
        return ordered

    def names(self) -> set[str]:
        """Of all pods there are, those that leave included."""
        return {str(pod.metadata.name) for pod in self._core.list_namespaced_pod(self.name).items if pod.metadata}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Stops the autoscaler meanwhile."""
        self._autoscaler(0)
        try:
            yield
        finally:
            self.scale(1)
            self._autoscaler(1)

    def _autoscaler(self, replicas: int) -> None:
        space = names.SYSTEM_NAMESPACE
        self._apps.patch_namespaced_deployment_scale(names.AUTOSCALER, space, {"spec": {"replicas": replicas}})
        selector = f"{names.COMPONENT_LABEL}={names.AUTOSCALER}"
        eventually(
            lambda: len(self._core.list_namespaced_pod(space, label_selector=selector).items) == replicas,
            "the autoscaler's pods",
        )


def eventually(holds: Callable[[], Any], what: str, *, seconds: float = 60.0) -> Any:
    """The first true value; ends the benchmark when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        if time.monotonic() > deadline:
            raise SystemExit(f"bench-starts: {what}: not as they should be within {seconds:.0f} s")
        time.sleep(0.02)
    return value


def cpu_seconds(uid: str) -> float:
    """CPU time of a pod's cgroup, v1 or v2."""
    for folder in _GROUPS.glob(f"cpuacct/kubepods/*/pod{uid}"):
        return float((folder / "cpuacct.usage").read_text()) / 1e9
    for folder in _GROUPS.glob(f"kubepods/*/pod{uid}"):
        return float((folder / "cpu.stat").read_text().split()[1]) / 1e6
    raise SystemExit(f"bench-starts: pod {uid} has no cgroup of kubepods below {_GROUPS}")


def process_start(uid: str) -> float:
    """When the pod's front started, in seconds of the day's clock, to a hundredth."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            ours = f"pod{uid}" in path.read_text() and b"headrace.runtimes\0" in (
                path.with_name("cmdline").read_bytes()
            )
            ticks = int(path.with_name("stat").read_text().rpartition(")")[2].split()[19])
        except OSError:
            continue  # ended meanwhile
        if ours:
            found.append(ticks / os.sysconf("SC_CLK_TCK"))
    if not found:
        raise SystemExit(f"bench-starts: no process of pod {uid} runs on this machine")
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - min(found))


def told(address: str) -> dict[str, float]:
    """What the pod says of itself, by the name of the series or the phase."""
    with urllib.request.urlopen(
        f"http://{address}:{names.FRONT_ADMIN_PORT}{metrics.METRICS_PATH}", timeout=5
    ) as response:
        lines = response.read().decode().splitlines()
    found = {}
    for line in lines:
        if line.startswith("#"):
            continue
        series, _, value = line.rpartition(" ")
        phase = series.partition('phase="')[2].rstrip('"}')
        found[phase or series.partition("{")[0]] = float(value)
    return found


def start(space: Namespace, callers: Callers, *, before: int) -> Started:
    """Orders one pod more than there are and follows it to its first answer."""
    known = set(space.moments)  # the watch remembers pods that have gone
    ordered = space.scale(before + 1)
    name = eventually(
        lambda: next((each for each in list(space.moments) if each not in known and space.moments[each]), None),
        "the new pod",
    )
    moments = space.moments[name]
    eventually(lambda: "probed" in moments and "listed" in moments, f"pod {name}", seconds=120)
    if before == 0:
        first = eventually(lambda: next((each for each in list(callers.answered) if each > ordered), None), "an answer")
    else:
        completed = metrics.FRONT_COMPLETED
        eventually(lambda: told(space.addresses[name]).get(completed, 0) > 0, "the new pod's first request")
        first = time.time()
    process = process_start(space.uids[name])
    inside = told(space.addresses[name])
    ends = {"pod made": moments["pod made"], "scheduled": moments["scheduled"], "process": process}
    last = process
    for phase in IN_POD:
        last = ends[phase] = last + inside[phase]
    ends.update(probed=moments["probed"], listed=max(moments["probed"], moments["listed"]), answered=first)
    phases, last = {}, ordered
    for phase, _ in PHASES:
        phases[phase], last = ends[phase] - last, ends[phase]
    return Started(phases=phases, cpu_seconds=space.cpu[name])


def measure(space: Namespace, callers: Callers, runs: int) -> dict[str, list[Started]]:
    """`runs` starts where there is no pod, and as many beside a pod that serves."""
    cases: dict[str, list[Started]] = {"0 to 1 pods": [], "1 to 2 pods": []}
    for _ in range(runs):
        space.scale(0)
        eventually(lambda: not space.names(), "leaving pods", seconds=90)
        callers.answered.clear()
        cases["0 to 1 pods"].append(start(space, callers, before=0))
        cases["1 to 2 pods"].append(start(space, callers, before=1))
        for case, found in cases.items():
            print(f"{case}: {found[-1].seconds:.2f} s, {found[-1].cpu_seconds:.2f} s of CPU", flush=True)
    return cases


def results(cases: dict[str, list[Started]]) -> tuple[list[report.Cell], list[report.Bar]]:
    """Cells and bars, of medians."""
    cells, bars = [], []
    for case, found in cases.items():
        series = {
            "order to first answer": ([each.seconds for each in found], "s"),
            "CPU until Ready": ([each.cpu_seconds for each in found], "CPU seconds"),
            **{phase: ([each.phases[phase] for each in found], "s") for phase, _ in PHASES},
        }
        cells += [
            report.Cell(
                case=case, system="headrace", metric=metric, value=statistics.median(values), unit=unit,
                low=min(values), high=max(values),
            )
            for metric, (values, unit) in series.items()
        ]  # fmt: skip
        seconds = statistics.median(series["order to first answer"][0])
        spent = statistics.median(series["CPU until Ready"][0])
        bars.append(report.at_most(f"{case}: order to first answer", seconds, BAR_SECONDS, "s"))
        bars.append(report.at_most(f"{case}: CPU until Ready", spent, BAR_CPU_SECONDS, "CPU s"))
    return cells, bars


def plot(cells: Sequence[report.Cell], path: Path) -> None:
    """Each case a bar of its phases' medians."""
    seconds = {(cell.case, cell.metric): cell.value for cell in cells}
    cases = list(dict.fromkeys(cell.case for cell in cells))
    figure, axes = plot_style.panels(1, 1, height=3.2)
    axis = axes[0][0]
    left = dict.fromkeys(cases, 0.0)
    handles: dict[str, Any] = {}
    for phase, _ in PHASES:
        widths = [max(0.0, seconds[case, phase]) for case in cases]
        inside = PHASE_COLOURS[phase]
        handles[phase] = found = axis.barh(cases, widths, left=list(left.values()), color=inside, height=0.6)
        texts = [plot_style.number(width) if width >= LEAST_SHOWN_SECONDS else "" for width in widths]
        axis.bar_label(found, texts, label_type="center", fontsize=7, color="white")
        left = {case: left[case] + width for case, width in zip(cases, widths, strict=True)}
    for at, case in enumerate(cases):
        axis.text(left[case] + 0.03, at, f"{left[case]:.2f} s", va="center", fontsize=8)
    axis.axvline(BAR_SECONDS, color=plot_style.INK, linestyle="--", linewidth=1)
    axis.set_xlim(0, 1.1 * max(BAR_SECONDS, *left.values()))
    axis.set_title("From the order of a pod to its first answer")
    axis.set_xlabel(f"seconds since the order; dashed: the bar, {BAR_SECONDS:g} s")
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    plot_style.legend(figure, handles)
    plot_style.save(figure, path)


def table(cells: Sequence[report.Cell]) -> str:
    """The phases as Markdown, for docs/runtimes.md."""
    value = {(cell.case, cell.metric): cell for cell in cells}
    cases = list(dict.fromkeys(cell.case for cell in cells))
    lines = [
        f"| phase | {' | '.join(f'{case}, s' for case in cases)} | what happens |",
        "|---" * (len(cases) + 2) + "|",
    ]
    for phase, what in PHASES:
        shown = " | ".join(f"{value[case, phase].value:.2f}" for case in cases)
        lines.append(f"| {phase} | {shown} | {what} |")
    return "\n".join(lines)


def main() -> int:
    """Measures, writes, prints the bars."""
    parser = argparse.ArgumentParser(prog="python -m bench.starts", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="starts of each case, of which the median counts")
    arguments = parser.parse_args()
    description = json.loads(demo.description_file().read_text()) if demo.description_file().exists() else demo.run()
    model = demo_model.ensure(tracking_server.uri())
    space = Namespace(description["kubeconfig"], names.endpoint_namespace(description["endpoint"]))
    with space.alone(), Callers(description, model.request) as callers:
        cases = measure(space, callers, arguments.runs)
    cells, bars = results(cases)
    path = report.write("starts", versions={"kubernetes": KUBERNETES_VERSION}, cells=cells, bars=bars)
    plot(cells, path.with_suffix(".png"))
    print(table(cells))
    page.PAGE.write_text(page.page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
