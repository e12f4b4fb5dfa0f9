"""The autoscaler on a real cluster while something of it, of the control plane or of the machine is not there."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live_platform import Platform, eventually
from live_scaling import SPACE, Scaled, assert_all_answered, settled

from bench.autoscaler import live_load
from headrace.contract import names
from headrace.local import cluster_layout


@pytest.mark.long
def test_without_prometheus_the_last_decision_stands_and_an_event_tells(scaled: Scaled) -> None:
    prometheus = ("-n", names.SYSTEM_NAMESPACE, "scale", "deployment", "prometheus")
    settled(scaled)
    with scaled.load(3.0) as load:
        scaled.platform.kubectl(*prometheus, "--replicas=0")
        try:
            eventually(lambda: scaled.condition("SignalsTrusted") == ("False", "NoData"))
            eventually(lambda: "NoData" in scaled.events())
            assert scaled.replicas == 1
        finally:
            scaled.platform.kubectl(*prometheus, "--replicas=1")
        eventually(lambda: scaled.condition("SignalsTrusted")[0] == "True", seconds=120)
        assert scaled.replicas == 1

    assert_all_answered(load)


@pytest.mark.long
def test_a_killed_controller_changes_no_replicas_and_its_next_life_decides(scaled: Scaled) -> None:
    """R21."""
    settled(scaled)
    lease = ("-n", names.SYSTEM_NAMESPACE, "get", "lease", names.AUTOSCALER, "-o", "jsonpath={.spec.renewTime}")
    with scaled.load(5.0) as load:
        before = scaled.replicas
        for pid in processes(scaled.platform, names.AUTOSCALER):
            os.kill(pid, signal.SIGKILL)
        last = scaled.platform.kubectl(*lease)
        eventually(lambda: scaled.platform.kubectl(*lease) != last)
        assert scaled.replicas == before
        scaled.platform.kubectl("-n", SPACE, "scale", "deployment", "v1", "--replicas=2")  # by hand: not the load's
        eventually(lambda: scaled.condition("Active")[0] == "True" and scaled.replicas == 1, seconds=300)

    assert_all_answered(load)


@pytest.mark.long
def test_of_two_controllers_the_other_takes_over_from_one_that_hangs_and_removes_nothing(scaled: Scaled) -> None:
    """R21."""
    settled(scaled)
    with controllers(scaled, 2), scaled.load(*live_load.ramp(1, 25, 60)) as load:
        eventually(lambda: scaled.ready >= 3, seconds=120)
        first, least = holder(scaled), scaled.replicas
        hung = processes(scaled.platform, names.AUTOSCALER, pod=first)
        for pid in hung:
            os.kill(pid, signal.SIGSTOP)
        try:
            second = eventually(lambda: holder(scaled) != first and holder(scaled))
        finally:
            for pid in hung:
                os.kill(pid, signal.SIGCONT)
        seen = []
        for _ in range(15):  # seconds: the new leader remembers nothing, and removes nothing for twenty
            seen.append(scaled.replicas)
            time.sleep(1)
        assert holder(scaled) == second

    assert min(seen) >= least
    assert_all_answered(load)


@pytest.mark.long
def test_a_full_node_is_a_condition_and_asks_for_no_more_pods(scaled: Scaled) -> None:
    settled(scaled)
    nodes = scaled.platform.kubectl("get", "nodes", "-o", "name").split()
    with scaled.load(*live_load.ramp(1, 8, 20)) as load:
        scaled.platform.kubectl("cordon", *nodes)
        try:
            eventually(lambda: scaled.condition("CapacityAvailable") == ("False", "CapacityShort"), seconds=120)
            for _ in range(20):
                assert scaled.replicas <= 3
                time.sleep(1)
            assert scaled.ready == 1
        finally:
            scaled.platform.kubectl("uncordon", *nodes)
        eventually(lambda: scaled.ready == scaled.replicas >= 2, seconds=120)
        eventually(lambda: scaled.condition("CapacityAvailable")[0] == "True")

    assert_all_answered(load)


@pytest.mark.long
@pytest.mark.parametrize(("program", "seconds"), [("kube-apiserver", 60), ("etcd", 30)])
def test_a_control_plane_that_hangs_costs_no_request_and_moves_no_pod(
    scaled: Scaled, program: str, seconds: int
) -> None:
    """R18."""
    if not scaled.platform.cluster.embedded:
        pytest.skip("the cluster's own control plane is not ours to stop")
    settled(scaled)
    pid = int((cluster_layout.folders().processes / f"{program}.pid").read_text().split()[0])
    uids = scaled.get(".items[*].metadata.uid", of=("pods",))
    with scaled.load(5.0) as load:
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)  # the length of the outage is the point of the story
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: quietly(lambda: scaled.condition("SignalsTrusted")[0] == "True"))
        assert scaled.replicas == 1
        assert scaled.get(".items[*].metadata.uid", of=("pods",)) == uids
        scaled.platform.kubectl("-n", SPACE, "scale", "deployment", "v1", "--replicas=2")
        eventually(lambda: quietly(lambda: scaled.replicas == 1), seconds=300)

    assert_all_answered(load)


@contextmanager
def controllers(scaled: Scaled, count: int) -> Iterator[None]:
    """So many of them, all ready, for as long as the block lasts."""
    deployment = ("deployment", names.AUTOSCALER)
    system = ("-n", names.SYSTEM_NAMESPACE)
    scaled.platform.kubectl(*system, "scale", *deployment, f"--replicas={count}")
    try:
        scaled.platform.kubectl(*system, "rollout", "status", *deployment, "--timeout=120s")
        yield
    finally:
        scaled.platform.kubectl(*system, "scale", *deployment, "--replicas=1")


def holder(scaled: Scaled) -> str:
    """Name of the pod whose controller has the lease."""
    lease = ("-n", names.SYSTEM_NAMESPACE, "get", "lease", names.AUTOSCALER)
    return scaled.platform.kubectl(*lease, "-o", "jsonpath={.spec.holderIdentity}")


def processes(platform: Platform, component: str, *, pod: str = "") -> list[int]:
    """The containers' processes of one of the platform's programs, on this machine; of all its pods, or of one."""
    named = f"[?(@.metadata.name=='{pod}')]" if pod else "[*]"
    shown = platform.kubectl(
        "-n", names.SYSTEM_NAMESPACE, "get", "pods", "-l", f"{names.COMPONENT_LABEL}={component}",
        "-o", f"jsonpath={{.items{named}.metadata.uid}}",
    )  # fmt: skip
    uids = shown.split()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            group, command = (folder / "cgroup").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue  # ended meanwhile
        if any(uid in group or uid.replace("-", "_") in group for uid in uids) and b"headrace" in command:
            found.append(int(folder.name))
    assert found, f"no process of {component} was found"
    return found


def quietly(holds: Callable[[], bool]) -> bool:
    """False while the API server does not answer."""
    try:
        return holds()
    except AssertionError:
        return False
