"""The simulator held against the real cluster: `python -m bench.autoscaler.live`, some six minutes a run.

One load goes through the PoP of the embedded cluster, open loop and without retries, to a model of known service time;
then the same arrivals meet the same engine in the simulator. The simulator is told what a run cannot know beforehand
and the benchmark is not about: how long the cluster's pods took to start, and a request's service time and use of CPU,
as the controller measured them. Written: bench/results/autoscaler-live.json and .png.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import kubernetes
import numpy as np

from bench import page, plot_style, report
from bench.autoscaler import elsewhere, live_load, live_model
from bench.autoscaler.policies import Apa, Setting
from bench.autoscaler.run import Case, Outcome, run
from bench.autoscaler.services import Floats, Service
from bench.load.schedule import times
from headrace.autoscaler.cluster import MANAGER
from headrace.autoscaler.fleet import fleet_of, read_pod
from headrace.contract import names
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import ApiServer
from headrace.local import demo, demo_model, target_cluster, tracking_server
from headrace.local.pulumi_stack import PulumiStack
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import KUBERNETES_VERSION

NAME: Final = "live"
VERSION: Final = "v1"
LOW, HIGH, SECONDS = 1.0, 60.0, 0.07
"""Requests a second before and at the top; service time of each."""
PODS, CORES = 6, 0.4
"""Most pods; CPU limit of a pod."""
WARM, RISING, TOP, AFTER = 60, 60, 90, 90
"""Seconds at the bottom, on the way up, at the top, and at the bottom again.

A load that rises much faster fills the queue of the one pod there is (64 requests at a limit of one) before others have
started. The front then refuses, and the simulator, whose queue is the balancer's, does not.
"""
SHOWN: Final = 20
"""Most failures of a run that are told one by one."""
BAR: Final = 0.15
"""Most relative difference between simulator and cluster."""


@dataclass
class Track:
    """What one run looked like, an entry a second."""

    desired: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    alive: list[float] = field(default_factory=list)
    """Pods that cost: starting, ready, leaving."""

    def capacity_seconds(self, needed: float) -> float:
        """From the load's rise to enough ready pods; infinite: never."""
        found = (second + 1 - WARM for second, ready in enumerate(self.ready) if second >= WARM and ready >= needed)
        return float(next(found, np.inf))

    @property
    def pod_seconds(self) -> float:
        """After the warm-up."""
        return sum(self.alive[WARM:])


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run on the cluster and what the simulator makes of it."""

    cluster: Track
    simulator: Track
    requests: int
    refused: int
    """Answered with 429 or 503 at once: the queue of the pod, or of every pod there was, was full."""
    failed: int
    """Neither answered with 200 nor refused."""
    starts: tuple[float, ...]
    """Seconds from creation to Ready of each pod, in the order of creation."""
    service_seconds: float

    def differences(self, needed: float) -> dict[str, float]:
        """Relative differences by measure."""
        pairs = {
            "time to capacity": (self.simulator.capacity_seconds(needed), self.cluster.capacity_seconds(needed)),
            "pod-seconds": (self.simulator.pod_seconds, self.cluster.pod_seconds),
        }
        return {name: abs(simulated - real) / real for name, (simulated, real) in pairs.items()}


def rates() -> list[float]:
    """The load, one rate a second."""
    up = [LOW + (HIGH - LOW) * (second + 1) / RISING for second in range(RISING)]
    return [*[LOW] * WARM, *up, *[HIGH] * TOP, *[LOW] * AFTER]


def needed() -> float:
    """Pods that serve the top of the load with none to spare."""
    return HIGH * SECONDS


class Endpoint:
    """The endpoint under load, new for each run so that nothing learned before is known."""

    def __init__(self) -> None:
        progress = Progress("bench", steps=1)
        self.description = demo.run()
        self._place = target_cluster.ensure(progress)
        self._stack = PulumiStack(programs=builder.deployer(progress))
        self._demo = {"name": demo_model.NAME, "model_uri": demo_model.ensure(tracking_server.uri()).model_uri}
        self._model_uri = live_model.ensure(tracking_server.uri(), like=self._demo["model_uri"])
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(self.description["kubeconfig"], client_configuration=configuration)
        self._server = ApiServer(MANAGER, configuration)
        self._space = names.endpoint_namespace(NAME)

    def __enter__(self) -> "Endpoint":
        scaled = {"name": NAME, "model_uri": self._model_uri, "cpu": CORES, "scale": {"max_replicas": PODS}}
        self._up([self._demo, scaled])
        deadline = time.monotonic() + 120
        while not self._trusted():
            if time.monotonic() > deadline:
                raise TemporaryError(f"the autoscaler does not see the load of {NAME} after two minutes: {self.status}")
            time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._up([self._demo])

    @property
    def status(self) -> dict[str, Any]:
        """Of the AutopilotPodAutoscaler."""
        group = f"/apis/{names.API_GROUP}/{names.API_VERSION}/namespaces/{self._space}/{names.APA_PLURAL}/{VERSION}"
        status: dict[str, Any] = self._server.get(group).get("status", {})
        return status

    def look(self) -> tuple[int, list[dict[str, Any]]]:
        """Replicas asked for, and the pods there are."""
        deployment = self._server.get(f"/apis/apps/v1/namespaces/{self._space}/deployments/{VERSION}")
        found = self._server.get(f"/api/v1/namespaces/{self._space}/pods")["items"]
        return int(deployment["spec"]["replicas"]), found

    def _trusted(self) -> bool:
        conditions = {each["type"]: each["status"] for each in self.status.get("conditions", ())}
        return conditions.get("SignalsTrusted") == "True"

    def _up(self, endpoints: list[dict[str, Any]]) -> None:
        self._stack.up(demo.settings(self._place, self._place.host, endpoints))


def measure(endpoint: Endpoint) -> Run:
    """One run on the cluster, then in the simulator."""
    to = live_load.target(endpoint.description, NAME, live_model.request(SECONDS))
    track, starts = Track(), dict[str, float]()
    load = live_load.Load(to, rates())
    watcher = threading.Thread(target=_watch, args=(endpoint, load, track, starts), daemon=True)
    load.start()
    watcher.start()
    answers = load.wait()
    watcher.join()
    profile = endpoint.status["profile"]
    service_seconds = profile["busy"] / profile["done"]
    statuses = Counter(answer.status for answer in answers)
    for answer in load.failures()[:SHOWN]:
        print(
            f"bench-live: second {answer.due:.1f} had status {answer.status} after {answer.seconds:.1f} s:"
            f" {answer.body}",
            file=sys.stderr,
        )
    measured = tuple(starts.values())
    simulator = simulate(measured, service_seconds=service_seconds, cpu=profile["cpu_per_request"])
    return Run(
        cluster=track,
        simulator=simulator,
        requests=len(answers),
        refused=statuses[429] + statuses[503],
        failed=len(answers) - statuses[200] - statuses[429] - statuses[503],
        starts=measured,
        service_seconds=service_seconds,
    )


def _watch(endpoint: Endpoint, load: live_load.Load, track: Track, starts: dict[str, float]) -> None:
    """One entry a second until the load's last."""
    for second in range(len(rates())):
        time.sleep(max(0.0, load.started_at + second + 1 - time.time()))
        desired, found = endpoint.look()
        fleet = fleet_of(map(read_pod, found)).asked(desired)
        track.desired.append(desired)
        track.ready.append(fleet.counts.ready)
        track.alive.append(len(found))
        for pod in sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"])):
            known = read_pod(pod)
            if known.start_seconds is not None:
                starts.setdefault(known.name, known.start_seconds)


def simulate(starts: Sequence[float], *, service_seconds: float, cpu: float) -> Track:
    """The same arrivals and the same engine, with pods that start as the cluster's did, one request at a time."""
    most = 64
    counts = np.arange(0, most + 1, dtype=np.float64)
    service = Service(
        name=live_model.NAME,
        mean_seconds=service_seconds,
        draw=lambda _, count: np.full(count, service_seconds),
        speed=1.0 / np.maximum(counts, 1.0),
        cpu=np.minimum(1.0, cpu * counts),
        tensor=np.zeros(most + 1),
        cores=CORES,
        most=most,
    )
    arrivals: Floats = np.array(list(times(rates())))
    case = Case(
        name=NAME,
        service=service,
        arrivals=arrivals,
        work=np.full(arrivals.size, service_seconds),
        seconds=len(rates()),
        warm_seconds=WARM,
        setting=Setting(concurrency=1, target=1.0, initial=1, min_replicas=1, max_replicas=PODS, cores=CORES),
        cold_start_seconds=float(statistics.median(starts)),
        needed=needed(),
        capacity_from=float(WARM),
        starts=tuple(starts),
    )
    outcome: Outcome = run(case, Apa(case.setting, vertical=True), keep_trace=True)
    return Track(desired=outcome.trace["desired"], ready=outcome.trace["ready"], alive=outcome.trace["alive"])


def results(runs: Sequence[Run]) -> tuple[list[report.Cell], list[report.Bar]]:
    """Cells and bars, of medians."""

    def cell(system: str, metric: str, values: Sequence[float], unit: str) -> report.Cell:
        return report.Cell(
            case=NAME, system=system, metric=metric, value=statistics.median(values), unit=unit,
            low=min(values), high=max(values),
        )  # fmt: skip

    sides = {"cluster": [each.cluster for each in runs], "simulator": [each.simulator for each in runs]}
    cells = [
        cell(system, metric, values, unit)
        for system, tracks in sides.items()
        for metric, values, unit in (
            ("time to capacity", [track.capacity_seconds(needed()) for track in tracks], "s"),
            ("pod-seconds", [track.pod_seconds for track in tracks], "pod seconds"),
            ("most pods", [max(track.alive) for track in tracks], "pods"),
        )
    ]
    cells += [
        cell("cluster", "requests", [each.requests for each in runs], "requests"),
        cell("cluster", "refused requests", [each.refused for each in runs], "requests"),
        cell("cluster", "failed requests", [each.failed for each in runs], "requests"),
        cell("cluster", "start of a pod", [statistics.median(each.starts) for each in runs], "s"),
        cell("cluster", "service time", [each.service_seconds for each in runs], "s"),
    ]
    found = [each.differences(needed()) for each in runs]
    bars = [
        report.at_most(
            f"simulator against cluster, {name}", 100 * statistics.median(one[name] for one in found), 100 * BAR, "%"
        )
        for name in found[0]
    ]
    bar = report.at_most("failed requests", max(each.failed for each in runs), 0, "requests")
    refused = max(each.refused for each in runs)
    bars.append(replace(bar, rule=f"{bar.rule}; by a full queue at most {refused} of {runs[0].requests} were refused"))
    return cells, bars


def plot(runs: Sequence[Run], path: Path) -> None:
    """Load and ready pods over time, cluster against simulator, one row a run."""
    figure, axes = plot_style.panels(len(runs) + 1, 1, height=2.2 * (len(runs) + 1), sharex=True)
    load, *rows = axes[:, 0]
    load.plot(rates(), color=plot_style.LOAD)
    load.set_ylabel("requests/s")
    handles: dict[str, Any] = {}
    for axis, each in zip(rows, runs, strict=True):
        for name, track in _sides(each).items():
            look = {"color": plot_style.colour(name), "drawstyle": "steps-post"}
            (handles[f"{plot_style.name(name)}: ready"],) = axis.plot(track.ready, **look)
            (handles[f"{plot_style.name(name)}: asked for"],) = axis.plot(track.desired, linestyle=":", **look)
        handles["pods that the load needs"] = axis.axhline(
            needed(), color=plot_style.FAINT, linewidth=0.8, linestyle="--"
        )
        axis.set_title(", ".join(f"{name} {value:.0%} apart" for name, value in each.differences(needed()).items()))
        axis.set_ylabel("pods")
    rows[-1].set_xlabel("seconds")
    plot_style.legend(figure, handles)
    plot_style.save(figure, path)


def main() -> int:
    """Measures, writes, prints the bars."""
    parser = argparse.ArgumentParser(prog="python -m bench.autoscaler.live", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the median counts (default 3)")
    arguments = parser.parse_args()
    endpoint = Endpoint()
    runs = []
    for _ in range(arguments.runs):
        with endpoint:
            runs.append(measure(endpoint))
        print(json.dumps(_shown(runs[-1])), flush=True)
    cells, bars = results(runs)
    versions = {"kubernetes": KUBERNETES_VERSION, "numpy": np.__version__}
    path = report.write("autoscaler-live", versions=versions, cells=cells, bars=bars)
    plot(runs, path.with_suffix(".png"))
    elsewhere.main()
    page.PAGE.write_text(page.page())
    return 0


def _shown(each: Run) -> Mapping[str, Any]:
    capacity = {name: track.capacity_seconds(needed()) for name, track in _sides(each).items()}
    cost = {name: track.pod_seconds for name, track in _sides(each).items()}
    return {
        "time to capacity, s": capacity, "pod-seconds": cost, "requests": each.requests, "refused": each.refused,
        "failed": each.failed, "starts, s": each.starts, "service, s": round(each.service_seconds, 4),
    }  # fmt: skip


def _sides(each: Run) -> dict[str, Track]:
    return {"cluster": each.cluster, "simulator": each.simulator}


if __name__ == "__main__":
    sys.exit(main())
