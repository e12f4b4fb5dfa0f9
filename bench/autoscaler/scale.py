"""The controller among many, on a real API server and scheduler: `python -m bench.autoscaler.scale`, ten minutes.

The embedded cluster runs alone, without the platform. kwok plays nodes and pods that become ready after a cold start
and run nothing; Deployments, ReplicaSets, scheduling and the controller are real. What the pods would count is computed
by the simulator's data plane from the pods that are ready, second by second, and told by a stand-in for Prometheus.

Many endpoints have an even load. One goes from 10 to 10,000 requests a second at once. Written:
bench/results/autoscaler-scale.json and .png.
"""

import argparse
import bisect
import dataclasses
import logging
import math
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import kubernetes
import numpy as np
import numpy.typing as npt

from bench import page, plot_style, report
from bench.autoscaler import elsewhere, kwok
from bench.autoscaler.child import child, cpu_seconds, resident_mebibytes
from bench.autoscaler.stand_in_prometheus import StandInPrometheus
from bench.autoscaler.traffic import BEFORE, DURING, GROWS, LIMIT, SERVICE, Traffic, needed
from headrace.autoscaler.cluster import MANAGER, WatchedCluster
from headrace.autoscaler.fleet import fleet_of
from headrace.contract import names
from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER, AutoscalerSpec
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import ApiServer
from headrace.local import cluster, cluster_layout, node_programs
from headrace.local.processes import Daemon
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import KUBERNETES_VERSION, KWOK_VERSION

COLD_START_SECONDS: Final = 10.0
MOST: Final = 400
"""Pods that the endpoint that grows may have."""
PORT: Final = 18080
MEMORY_MIB: Final = 256
"""Limit of the controller's pod (components/kubernetes/pods.py)."""
TELL_SECONDS: Final = 10
"""Between two words about the setting up, which takes minutes."""
_KINDS: Final = f"/apis/{names.API_GROUP}/{names.API_VERSION}"


class World:
    """The API server, and the objects of the benchmark in it."""

    def __init__(self, kubeconfig: Path, *, endpoints: int, pods_each: int) -> None:
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=configuration)
        self.server = ApiServer(MANAGER, configuration)
        self.pods_each = pods_each
        self.fleets = {GROWS: 1} | {f"even-{number}": pods_each for number in range(endpoints)}
        """Endpoints, and how many pods each has at first."""
        self._seen = WatchedCluster(self.server)

    def close(self) -> None:
        """Watches no longer."""
        self._seen.stop()

    def make(self, player: "subprocess.Popen[bytes]") -> None:
        """Nodes, kind, namespaces, Deployments, bounds; returns when the first pods are ready.

        `player` is who makes them so: nobody waits for one that has ended.
        """
        self._create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", AUTOPILOT_POD_AUTOSCALER.crd())
        self._create("/api/v1/namespaces", {"metadata": {"name": names.SYSTEM_NAMESPACE}})
        wanted = sum(self.fleets.values())
        with ThreadPoolExecutor(4) as several:
            nodes = map(kwok.node, range(math.ceil((wanted + MOST) / kwok.PODS_A_NODE)))
            list(several.map(lambda node: self._create("/api/v1/nodes", node), nodes))
            list(several.map(self._make_endpoint, self.fleets))
        self._seen.start()
        deadline = time.monotonic() + 60 + wanted / 5
        while (found := sum(len(self.ready(name)) for name in self.fleets)) < wanted:
            if time.monotonic() > deadline or player.poll() is not None:
                raise SystemExit(f"bench-scale: {found} of the first {wanted} pods became ready in time")
            print(f"bench-scale: {found} of the first {wanted} pods are ready", file=sys.stderr)
            time.sleep(TELL_SECONDS)

    def _make_endpoint(self, name: str) -> None:
        space, first = names.endpoint_namespace(name), self.fleets[name]
        bounds = AutoscalerSpec(
            target="v1",
            min_replicas=first,
            max_replicas=MOST if name == GROWS else 2 * first,
            min_concurrency=LIMIT,
            max_concurrency=LIMIT,
            initial_concurrency=LIMIT,
            cold_start_seconds=COLD_START_SECONDS,
        )
        self._create("/api/v1/namespaces", {"metadata": {"name": space}})
        deployment = kwok.deployment(name, replicas=first, cores=SERVICE.cores)
        self._create(f"/apis/apps/v1/namespaces/{space}/deployments", deployment)
        self._create(
            f"{_KINDS}/namespaces/{space}/{names.APA_PLURAL}",
            {
                "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
                "kind": names.APA_KIND,
                "metadata": {"name": "v1"},
                "spec": bounds.to_json(),
            },
        )

    def ready(self, name: str) -> set[str]:
        """Addresses of an endpoint's ready pods."""
        return set(fleet_of(self._seen.pods(names.endpoint_namespace(name), "v1")).ready.values())

    def desired(self) -> int:
        """Replicas asked for, of the endpoint that grows."""
        found = self._seen.deployment(names.endpoint_namespace(GROWS), "v1")
        return found.replicas if found is not None else 0

    def _create(self, path: str, thing: dict[str, Any]) -> None:
        deadline = time.monotonic() + 20
        while True:  # a kind is served a moment after it was made
            try:
                self.server.send("POST", path, thing)
                return
            except TemporaryError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)


@dataclass
class Track:
    """One run, an entry a second, or as many as a busy machine allows."""

    at: list[float] = field(default_factory=list)
    """Second of the run."""
    desired: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """CPU seconds of the controller so far."""
    looks: list[float] = field(default_factory=list)
    """Times the controller has looked at all so far."""
    pods: int = 0
    memory_mib: float = 0.0

    @property
    def capacity_seconds(self) -> float:
        """From the load's jump to enough ready pods; infinite: never."""
        found = (
            at - BEFORE for at, ready in zip(self.at, self.ready, strict=True) if at >= BEFORE and ready >= needed()
        )
        return float(next(found, math.inf))

    def cpu_a_look(self, begin: float, end: float) -> float:
        """CPU seconds from one second to another, watching included, by look."""
        first, last = bisect.bisect_left(self.at, begin), bisect.bisect_left(self.at, end) - 1
        looks = self.looks[last] - self.looks[first]
        return (self.cpu[last] - self.cpu[first]) / looks if looks > 0 else math.inf

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """Between the entries."""
        return np.diff(self.at)


def measure(world: World, controller: "subprocess.Popen[bytes]", prometheus: StandInPrometheus) -> Track:
    """The load second by second, and what the controller and the cluster made of it."""
    traffic, track = Traffic({name: world.ready(name) for name in world.fleets}), Track()
    begun = last = time.time()
    while time.time() < begun + BEFORE + DURING:
        time.sleep(1.0 - (time.time() - begun) % 1.0)
        ready, now = world.ready(GROWS), time.time()
        traffic.advance(now - last, min(now - begun, BEFORE + DURING), ready)
        prometheus.publish(list(traffic.versions.values()), now)
        last = now
        track.at.append(now - begun)
        track.desired.append(world.desired())
        track.ready.append(len(ready))
        track.queued.append(traffic.queued)
        track.cpu.append(cpu_seconds(controller.pid))
        track.looks.append(_looks())
    track.pods = sum(len(version.pods) for version in traffic.versions.values())
    track.memory_mib = resident_mebibytes(controller.pid)
    return track


@contextmanager
def controller_process(kubeconfig: Path, folder: Path, url: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The shipped controller as a process of this machine."""
    environment = {
        "KUBECONFIG": str(kubeconfig), "HEADRACE_AUTOSCALER_PROMETHEUS_URL": url, "HEADRACE_AUTOSCALER_PORT": str(PORT),
        "HEADRACE_AUTOSCALER_LOG_LEVEL": "WARNING",
    }  # fmt: skip
    with child([sys.executable, "-m", "headrace.autoscaler"], folder / "controller.log", environment) as process:
        while not _looks() and process.poll() is None:  # `child` says why it ended
            time.sleep(0.2)
        yield process


def _looks() -> float:
    """Times the controller has looked at all, by its own histogram; 0 before it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
    except OSError:
        return 0.0
    return float(next(line.split()[1] for line in lines if line.startswith("headrace_autoscaler_tick_seconds_count")))


@contextmanager
def hurried() -> Iterator[None]:
    """A controller manager and a scheduler that may ask more often than 20 and 50 times a second.

    Thousands of pods would take half an hour to be made. What is measured happens after, with the programs' defaults.
    """
    daemons = node_programs.daemons(cluster_layout.folders(), builder.kubernetes(Progress("bench-scale", steps=1)))
    usual = [daemons["kube-controller-manager"], daemons["kube-scheduler"]]
    hasty = [
        dataclasses.replace(each, command=[*each.command, "--kube-api-qps=300", "--kube-api-burst=600"])
        for each in usual
    ]
    _exchange(usual, hasty)
    try:
        yield
    finally:
        _exchange(hasty, usual)


def _exchange(running: Sequence[Daemon], wanted: Sequence[Daemon]) -> None:
    for old, new in zip(running, wanted, strict=True):
        old.stop()
        new.start()


def plot(track: Track, path: Path) -> None:
    """Pods, queue and the controller's CPU over time."""
    figure, axes = plot_style.panels(3, 1, height=7, sharex=True)
    fleet, queue, cpu = axes[:, 0]
    fleet.plot(track.at, track.desired, label="asked for", color=plot_style.OURS, linestyle=":")
    fleet.plot(track.at, track.ready, label="ready", color=plot_style.OURS)
    fleet.axhline(needed(), color=plot_style.FAINT, linewidth=0.8, linestyle="--", label="pods that the load needs")
    fleet.legend()
    queue.plot(track.at, track.queued, color=plot_style.LOAD)
    cpu.plot(track.at[1:], np.diff(track.cpu) / track.seconds, color=plot_style.OURS)
    for axis, label in ((fleet, "pods"), (queue, "queued requests"), (cpu, "controller, CPU cores")):
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    cpu.set_xlabel("seconds")
    plot_style.save(figure, path)


def run(endpoints: int, pods_each: int) -> Track:
    """One run on a cluster of its own, removed at the end."""
    cluster.reset()
    kubeconfig = cluster.start(Progress("bench-scale", steps=1))
    try:
        with tempfile.TemporaryDirectory(prefix="scale-") as name, closing(StandInPrometheus()) as prometheus:
            folder = Path(name)
            with (
                closing(World(kubeconfig, endpoints=endpoints, pods_each=pods_each)) as world,
                kwok.running(kubeconfig, folder, cold_start_seconds=COLD_START_SECONDS) as player,
            ):
                with hurried():
                    world.make(player)
                with controller_process(kubeconfig, folder, prometheus.url) as controller:
                    return measure(world, controller, prometheus)
    finally:
        cluster.reset()


def main() -> int:
    """Measures, writes, prints the bars."""
    parser = argparse.ArgumentParser(prog="python -m bench.autoscaler.scale", description=__doc__)
    parser.add_argument("--endpoints", type=int, default=999, help="endpoints with an even load (default 999)")
    parser.add_argument("--pods", type=int, default=10, help="pods of each of them (default 10)")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # of watches that end with their cluster
    track = run(arguments.endpoints, arguments.pods)
    even, grown = track.cpu_a_look(BEFORE / 2, BEFORE), track.cpu_a_look(BEFORE, math.inf)
    case = f"{arguments.endpoints + 1} endpoints, {track.pods} pods"
    cells = [
        report.single(case, "to enough pods", track.capacity_seconds, "s"),
        report.single(case, "controller, CPU a look, even load", even, "s"),
        report.single(case, "controller, CPU a look, one endpoint growing", grown, "s"),
        report.single(case, "controller, dearest second", float((np.diff(track.cpu) / track.seconds).max()), "CPU s"),
        report.single(
            case,
            "controller, looks a second",
            (track.looks[-1] - track.looks[0]) / (track.at[-1] - track.at[0]),
            "looks",
        ),
        report.single(case, "controller, resident memory", track.memory_mib, "MiB"),
    ]
    bars = [
        report.at_most("10 to 10,000 requests a second, to enough pods", track.capacity_seconds, 60, "s"),
        report.at_most(f"CPU a look at {case}", max(even, grown), 1, "s"),
        report.at_most("memory, of the limit of the controller's pod", track.memory_mib, MEMORY_MIB, "MiB"),
    ]
    versions = {"kubernetes": KUBERNETES_VERSION, "kwok": KWOK_VERSION}
    path = report.write("autoscaler-scale", versions=versions, cells=cells, bars=bars)
    plot(track, path.with_suffix(".png"))
    elsewhere.main()
    page.PAGE.write_text(page.page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
