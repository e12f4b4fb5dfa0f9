"""The loop: ticks, leaving and taking the lead."""

import datetime
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fake_controller import KEY, Controller, cluster_of

from headrace.autoscaler.fake_cluster import FakeCluster
from headrace.autoscaler.load_sources import PrometheusSource
from headrace.contract import metrics, names
from headrace.contract.apa import AutoscalerSpec
from headrace.kube.api_server import Key
from headrace.kube.lease import DURATION_SECONDS, RENEW_SECONDS, STOP_SECONDS

LEASE: Key = (names.SYSTEM_NAMESPACE, names.AUTOSCALER)


def test_a_crash_of_the_leader_changes_no_replicas_and_the_next_decides_soon() -> None:
    """R21."""
    cluster = cluster_of(replicas=5)
    first, second = Controller(cluster, "one"), Controller(cluster, "two")
    first.load.rate = second.load.rate = 10.0
    first.tick(10)
    second.tick(10)
    cluster.scalings.clear()

    second.tick(15)

    assert second.elector.leading
    assert cluster.scalings == []
    second.load.rate = 2000.0
    second.tick(6)
    assert cluster.deployments[KEY]["spec"]["replicas"] > 5


class SlowCluster(FakeCluster):
    """A status takes a second to write, on the clock of the controller that writes it."""

    def __init__(self, versions: int) -> None:
        super().__init__()
        for number in range(versions):
            self.add_version(f"endpoint-{number}", "v1", spec=AutoscalerSpec(target="v1").to_json())
        self.writer = Controller(self, "one")
        self.tried = 0

    def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        self.writer.now += 1.0
        self.tried += 1
        super().write_status(namespace, name, status)


def test_a_look_that_takes_long_keeps_the_lease_meanwhile() -> None:
    cluster = SlowCluster(versions=30)
    began = cluster.writer.now

    cluster.writer.tick()

    renewed = datetime.datetime.fromisoformat(cluster.leases[LEASE]["spec"]["renewTime"]).timestamp()
    assert cluster.writer.now - began >= 30
    assert cluster.writer.wall() - renewed <= RENEW_SECONDS + 1.0
    assert cluster.tried == 30


def test_a_look_that_outlasts_the_lease_ends_before_another_may_begin() -> None:
    cluster = SlowCluster(versions=30)
    cluster.writer.tick()
    cluster.tried = 0
    cluster.down = True

    cluster.writer.tick()

    assert cluster.tried <= STOP_SECONDS + 1.0 < DURATION_SECONDS


def test_ten_minutes_of_silence_scale_nothing() -> None:
    """R18, R22: sources and API server come and go."""
    cluster = cluster_of(replicas=5)
    controller = Controller(cluster)
    controller.load.rate = 10.0
    controller.tick(5)
    controller.load.rate = None
    cluster.down = True
    controller.tick(120)
    cluster.down = False
    controller.tick(500)

    assert cluster.scalings == []


def test_one_version_that_surprises_does_not_stop_the_others() -> None:
    cluster = cluster_of()
    other: Key = ("endpoint-fraud", "v2")
    cluster.add_version(*other, spec=AutoscalerSpec(target="v2").to_json())
    cluster.deployments[KEY]["spec"]["replicas"] = "nonsense"
    controller = Controller(cluster)
    controller.load.rate = 1000.0

    controller.tick(10)

    assert cluster.deployments[other]["spec"]["replicas"] > 1


def test_readiness_does_not_depend_on_leading() -> None:
    cluster = cluster_of()
    first, second = Controller(cluster, "one"), Controller(cluster, "two")
    first.tick()
    second.tick()

    assert first.loop.ready() == (True, "leading")
    assert second.loop.ready() == (True, "standing by")
    assert second.loop.alive()[0]
    second.now += 100
    assert not second.loop.alive()[0]


def test_ready_pods_and_balancers_are_listed_for_prometheus() -> None:
    cluster = cluster_of(replicas=2)
    cluster.balancer_pods = [cluster.pod("balancer-a", address="fd00::1"), cluster.pod("new", state="starting")]
    loop = Controller(cluster).loop

    assert loop.targets("models") == [
        {"targets": ["10.0.0.1:8002"], "labels": {"namespace": "endpoint-fraud", "pod": "v1-1"}},
        {"targets": ["10.0.0.2:8002"], "labels": {"namespace": "endpoint-fraud", "pod": "v1-2"}},
    ]
    (balancer,) = loop.targets("load-balancers") or []
    assert balancer["targets"] == ["[fd00::1]:9902"]
    assert loop.targets("unheard-of") is None


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumps_an_hour_starts_no_storm_and_load_is_followed_after(jump: float) -> None:
    """R39."""
    cluster = cluster_of(replicas=5)
    controller = Controller(cluster)
    controller.load.rate = 60.0
    controller.tick(200)
    settled = cluster.deployments[KEY]["spec"]["replicas"]
    cluster.scalings.clear()

    controller.jumped = jump
    controller.tick(120)

    assert cluster.scalings == []
    assert cluster.deployments[KEY]["spec"]["replicas"] == settled
    assert controller.elector.leading
    controller.load.rate = 2000.0
    controller.tick(30)
    assert cluster.deployments[KEY]["spec"]["replicas"] > settled


class FakePrometheus:
    """Answers instant queries about one version's front, as Prometheus does, over real HTTP."""

    def __init__(self) -> None:
        self.now = 0.0
        self.arrived = 0.0
        self.spoilt: str | None = None
        """In place of every counter's value."""
        self.skew = 0.0
        self.empty = False
        self.status = 200
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", "0")))
                self._answer()

            def _answer(self) -> None:
                body = json.dumps({"status": "success", "data": {"result": fake.result(self.path)}}).encode()
                self.send_response(fake.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def result(self, path: str) -> list[dict[str, Any]]:
        labels = {"endpoint": "fraud", "version": "v1", "instance": "10.0.0.1:8002"}
        if self.empty:
            return []
        if "timestamp" in path:
            moment = str(1_780_000_000.0 + self.now + self.skew)
            return [{"metric": labels, "value": [0, moment]}] if "endpoint" in path else []
        if "count_values" in path:
            return [{"metric": {**labels, "limit": "1"}, "value": [0, "1"]}]
        counters = {
            metrics.FRONT_ARRIVED: self.arrived,
            metrics.FRONT_COMPLETED: self.arrived,
            metrics.FRONT_EXECUTING_SECONDS: 0.05 * self.arrived,
            metrics.FRONT_QUEUED_SECONDS: 0.0,
        }
        return [
            {"metric": {"__name__": name, **labels}, "value": [0, self.spoilt or str(value)]}
            for name, value in counters.items()
        ]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def prometheus() -> Iterator[FakePrometheus]:
    found = FakePrometheus()
    yield found
    found.close()


def test_a_prometheus_that_lies_or_dies_holds_and_tells_once_and_is_believed_again_after(
    prometheus: FakePrometheus,
) -> None:
    """R22, over the real source and the real loop."""
    cluster = cluster_of(replicas=3, min_replicas=0)
    source = PrometheusSource(f"http://127.0.0.1:{prometheus.server.server_address[1]}")
    controller = Controller(cluster, source=source)

    def seconds(count: int, rate: float = 100.0) -> None:
        for _ in range(count):
            prometheus.now = controller.now + 1.0
            prometheus.arrived += rate
            controller.tick()

    def trusted() -> str:
        conditions = cluster.objects[KEY]["status"]["conditions"]
        return next(str(condition["status"]) for condition in conditions if condition["type"] == "SignalsTrusted")

    seconds(30)
    assert cluster.deployments[KEY]["spec"]["replicas"] > 3

    for field, value, reason in (
        ("empty", True, "NoData"),
        ("status", 500, "NoData"),
        ("spoilt", "NaN", "NotFinite"),
        ("spoilt", "+Inf", "NotFinite"),
        ("spoilt", "-5", "Negative"),
        ("spoilt", "1e308", "Implausible"),
        ("skew", 600.0, "ClockSkew"),
        ("skew", -600.0, "Stale"),
    ):
        cluster.scalings.clear()
        cluster.events.clear()
        sound = getattr(prometheus, field)
        setattr(prometheus, field, value)
        seconds(20)
        assert cluster.scalings == [], (field, value)
        assert [event["reason"] for event in cluster.events] == [reason], (field, value)
        assert trusted() == "False"
        setattr(prometheus, field, sound)
        seconds(40)
        assert trusted() == "True", (field, value)

    prometheus.close()
    cluster.scalings.clear()
    cluster.events.clear()
    seconds(20)
    assert cluster.scalings == []
    assert [event["reason"] for event in cluster.events] == ["NoData"]
