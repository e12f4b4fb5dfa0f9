"""The autoscaler on a real cluster, under real load through the PoP: open loop, no retries, every answer counted."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live_platform import Platform, eventually

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench.autoscaler import live_load, live_model
from headrace.contract import names
from headrace.stacks.local import layout, registry

NAME = "scaled"
SPACE = f"endpoint-{NAME}"
OBJECT = ("autopilotpodautoscaler", "v1")
REQUEST = live_model.request(0.1)


_offered: list[live_load.Load] = []
"""Of the test that runs."""


class Scaled:
    """An endpoint whose pods answer ten requests a second each, one at a time."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.model_uri = live_model.ensure(registry.uri(), like=platform.model.model_uri)

    def up(self, *, preview: bool = False, **scale: Any) -> str:
        """Brings the endpoint to these bounds, beside the demo's own."""
        endpoint = {"name": NAME, "model_uri": self.model_uri, "cpu": 0.4, "scale": scale}
        settings = self.platform.settings([self.platform.endpoint, endpoint])
        return self.platform.deployment.up(settings, preview=preview)

    def down(self) -> None:
        """Removes the endpoint."""
        self.platform.deployment.up(self.platform.settings([self.platform.endpoint]))

    @contextmanager
    def load(self, *rates: float) -> Iterator[live_load.Load]:
        """These requests a second, one number a second, and then the last for as long as the block lasts."""
        to = live_load.target(self.platform.description, NAME, REQUEST)
        with live_load.offered(to, [*rates, *[rates[-1]] * 600]) as load:
            _offered.append(load)
            yield load

    def get(self, path: str, *, of: tuple[str, ...] = OBJECT) -> str:
        return self.platform.kubectl("-n", SPACE, "get", *of, "-o", f"jsonpath={{{path}}}")

    @property
    def replicas(self) -> int:
        """What the Deployment asks for."""
        return int(self.get(".spec.replicas", of=("deployment", "v1")))

    @property
    def ready(self) -> int:
        return int(self.get(".status.readyReplicas", of=("deployment", "v1")) or 0)

    def condition(self, kind: str, *, of: str = "v1") -> tuple[str, str]:
        """Status and reason."""
        shown = self.get(".status.conditions", of=(OBJECT[0], of))
        found = {each["type"]: each for each in json.loads(shown or "[]")}
        return (found[kind]["status"], found[kind]["reason"]) if kind in found else ("", "")

    def events(self) -> set[str]:
        return set(self.platform.kubectl("-n", SPACE, "get", "events", "-o", "jsonpath={.items[*].reason}").split())

    def ask(self) -> int:
        return self.platform.ask(REQUEST, path=names.invocations_path(NAME)).status


@pytest.fixture(autouse=True)
def _told(request: pytest.FixtureRequest) -> Iterator[None]:
    """The record of a story says how many requests were sent meanwhile, and how many were not answered with 200."""
    _offered.clear()
    yield
    statuses = [answer.status for load in _offered for answer in load.answers]
    if statuses:
        request.node.user_properties += [("requests", len(statuses)), ("not_200", len(statuses) - statuses.count(200))]


@pytest.fixture(scope="module")
def scaled(platform: Platform) -> Iterator[Scaled]:
    """One pod, at most six."""
    found = Scaled(platform)
    found.up(max_replicas=6)
    eventually(lambda: found.ask() == 200)
    yield found
    found.down()


def settled(scaled: Scaled) -> None:
    """One ready pod, none that leaves, and an autoscaler that knows the load."""
    eventually(lambda: (scaled.replicas, scaled.ready) == (1, 1), seconds=400)
    eventually(lambda: len(scaled.get(".items[*].metadata.uid", of=("pods",)).split()) == 1)
    eventually(lambda: scaled.condition("SignalsTrusted")[0] == "True")


def test_an_endpoint_that_asks_for_nothing_is_scaled(platform: Platform) -> None:
    eventually(
        lambda: "True" in platform.kubectl("-n", "endpoint-breast-cancer", "get", *OBJECT, "--no-headers").split()
    )


@pytest.mark.long
def test_load_brings_pods_its_end_removes_them_and_no_request_fails(scaled: Scaled) -> None:
    settled(scaled)
    with scaled.load(*live_load.ramp(1, 25, 75)) as load:
        eventually(lambda: scaled.ready >= 4, seconds=240)
        shown = scaled.platform.kubectl("get", "apa", "-A", "--no-headers")
        printed = scaled.up(preview=True, max_replicas=6)
        top = scaled.replicas
    with scaled.load(2.0) as quiet:
        eventually(lambda: scaled.replicas == 1, seconds=400)
        eventually(lambda: scaled.ready == 1, seconds=60)

    assert 4 <= top <= 6
    assert set(load.statuses()) == {200}
    assert set(quiet.statuses()) == {200}
    for verb in ("to create", "to update", "to delete", "to replace"):
        assert verb not in printed, printed
    (line,) = [line.split() for line in shown.splitlines() if line.startswith(SPACE)]
    assert line[1:5] == ["v1", "v1", "1", "6"]
    assert line[9] == "True"  # Active
    decisions = json.loads(scaled.get(".status.decisions"))
    assert {"ScaleUp", "ScaleDown"} <= {reason.split(":")[0] for entry in decisions for reason in entry["reasons"]}
    assert "Scaled" in scaled.events()


@pytest.mark.long
def test_bounds_changed_under_load_hold_at_once_and_no_request_fails(scaled: Scaled) -> None:
    with scaled.load(5.0) as load:
        scaled.up(min_replicas=3, max_replicas=6)
        eventually(lambda: scaled.ready == 3, seconds=120)
        scaled.up(max_replicas=1)
        eventually(lambda: scaled.ready == 1, seconds=120)
        scaled.up(max_replicas=6)

    assert set(load.statuses()) == {200}


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

    assert set(load.statuses()) == {200}


@pytest.mark.long
def test_a_deployment_that_an_hpa_scales_too_is_left_to_it(scaled: Scaled) -> None:
    rival = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "rival", "namespace": SPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "v1"},
            "minReplicas": 1,
            "maxReplicas": 2,
        },
    }
    with applied(scaled, rival):
        eventually(lambda: scaled.condition("Active") == ("False", "HorizontalPodAutoscalerPresent"))
    eventually(lambda: scaled.condition("Active")[0] == "True")


@pytest.mark.long
@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"targetRef": {"name": "v1"}}, "TargetConflict"),
        ({"targetRef": {"name": "unheard-of"}}, "TargetMissing"),
    ],
)
def test_an_object_that_cannot_be_followed_says_why_and_disturbs_nobody(
    scaled: Scaled, spec: dict[str, Any], reason: str
) -> None:
    with applied(scaled, second(spec)):
        eventually(lambda: scaled.condition("Active", of="second") == ("False", reason))
        eventually(lambda: reason in scaled.events())
        assert scaled.condition("Active")[0] == "True"
        assert scaled.replicas == 1


@pytest.mark.long
def test_bounds_that_exclude_each_other_are_refused_by_the_api_server(scaled: Scaled) -> None:
    contradiction = {"targetRef": {"name": "other"}, "minReplicas": 5, "maxReplicas": 2}

    with pytest.raises(AssertionError, match="minReplicas must be at most maxReplicas"):
        scaled.platform.kubectl("apply", "-f", "-", text=json.dumps(second(contradiction)))

    assert scaled.get(".items[*].metadata.name", of=("autopilotpodautoscalers",)) == "v1"
    assert scaled.condition("Active")[0] == "True"


@pytest.mark.long
def test_it_sleeps_and_a_call_or_a_request_wakes_it(scaled: Scaled) -> None:
    scaled.up(min_replicas=0, max_replicas=6, idle_seconds=5)
    call = (
        "import urllib.request; print(urllib.request.urlopen(urllib.request.Request("
        f"'http://{names.AUTOSCALER}.{names.SYSTEM_NAMESPACE}.svc:{names.CONTROL_HEALTH_PORT}/wake/{SPACE}/v1',"
        " method='POST'), timeout=10).status)"
    )
    for wake in (
        lambda: scaled.platform.kubectl(
            "-n", names.SYSTEM_NAMESPACE, "exec", f"deploy/{names.ROUTING}", "--", "/usr/bin/python3.11", "-c", call
        ),
        scaled.ask,
    ):
        eventually(lambda: scaled.replicas == 0, seconds=300)
        eventually(lambda: scaled.get(".items[*].metadata.name", of=("pods",)) == "", seconds=120)
        assert str(wake()).strip() in {"202", "503"}
        eventually(lambda: scaled.ask() == 200, seconds=120)
    scaled.up(max_replicas=6)


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

    assert set(load.statuses()) == {200}


@pytest.mark.long
@pytest.mark.parametrize(("program", "seconds"), [("kube-apiserver", 60), ("etcd", 30)])
def test_a_control_plane_that_hangs_costs_no_request_and_moves_no_pod(
    scaled: Scaled, program: str, seconds: int
) -> None:
    """R18."""
    if not scaled.platform.place.embedded:
        pytest.skip("the cluster's own control plane is not ours to stop")
    settled(scaled)
    pid = int((layout.folders().processes / f"{program}.pid").read_text().split()[0])
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

    assert set(load.statuses()) == {200}


@pytest.mark.long
def test_an_endpoint_deleted_while_it_scales_leaves_no_trace(scaled: Scaled) -> None:
    restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    selector = ("-n", names.SYSTEM_NAMESPACE, "get", "pods", "-l", f"{names.COMPONENT_LABEL}={names.AUTOSCALER}")
    before = scaled.platform.kubectl(*selector, "-o", restarts)
    with scaled.load(15.0):
        eventually(lambda: scaled.replicas > 1)
        scaled.down()
    assert SPACE not in scaled.platform.kubectl("get", "namespaces", "-o", "name")
    assert scaled.platform.kubectl(*selector, "-o", restarts) == before
    assert scaled.platform.ask(scaled.platform.model.request).status == 200
    log = scaled.platform.kubectl("-n", names.SYSTEM_NAMESPACE, "logs", f"deploy/{names.AUTOSCALER}")
    assert "Traceback" not in log


def second(spec: dict[str, Any]) -> dict[str, Any]:
    """Another AutopilotPodAutoscaler beside the endpoint's own."""
    return {
        "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
        "kind": names.APA_KIND,
        "metadata": {"name": "second", "namespace": SPACE},
        "spec": spec,
    }


@contextmanager
def applied(scaled: Scaled, thing: dict[str, Any]) -> Iterator[None]:
    """The object, for as long as the block lasts."""
    scaled.platform.kubectl("apply", "-f", "-", text=json.dumps(thing))
    try:
        yield
    finally:
        scaled.platform.kubectl("-n", SPACE, "delete", thing["kind"], thing["metadata"]["name"])


def processes(platform: Platform, component: str) -> list[int]:
    """The containers' processes of one of the platform's programs, on this machine."""
    shown = platform.kubectl(
        "-n", names.SYSTEM_NAMESPACE, "get", "pods", "-l", f"{names.COMPONENT_LABEL}={component}",
        "-o", "jsonpath={.items[*].metadata.uid}",
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
