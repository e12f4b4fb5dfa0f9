"""A rollout through both real proxies: the controller reads the balancer's own counters, and its word moves real
requests. Kubernetes alone is a stand-in (`fake_cluster`)."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headrace.contract import names
from headrace.kube.lease import Elector
from headrace.routing.rollout.answer_comparer import AnswerComparer
from headrace.routing.rollout.balancer_counters import BalancerCounters
from headrace.routing.rollout.fake_cluster import FakeCluster
from headrace.routing.rollout.journal import Journal
from headrace.routing.rollout.reconcile import Reconciler
from headrace.routing.rollout.rollout_loop import Loop
from headrace.routing.snapshot import accepted_endpoints
from headrace.routing.snapshot.rollout_split import rollout_splits, with_rollout

ROLLOUT = {"steps": [20, 50], "bakeSeconds": 2, "slowMarginPercent": 50}
PODS = {"v1": 1, "v2": 1}
SECONDS = 90.0

pytestmark = pytest.mark.slow


class LocalCounters(BalancerCounters):
    """Of the balancer at loopback, whatever the cluster calls it."""

    def read(self, endpoint: str, balancers: Any) -> Any:
        return super().read(endpoint, ["127.0.0.1"])


class Story:
    """v1 serves, and v2 is named."""

    def __init__(self, platform: Any) -> None:
        self.platform = platform
        self.servers = {name: platform.server(name) for name in PODS}
        self.cluster = FakeCluster()
        self.cluster.add_endpoint("fraud", "v1", **ROLLOUT)
        self.cluster.ready = {("fraud", "v1"): 1}
        elector = Elector(self.cluster, "one", names.SYSTEM_NAMESPACE, names.ROLLOUT)
        counters = LocalCounters(port=platform.balancer.stats_port)
        reconciler = Reconciler(self.cluster, Journal(""))
        self.loop = Loop(self.cluster, counters, reconciler, elector, AnswerComparer())
        self.loop.tick()
        self.cluster.add_endpoint("fraud", "v2", **ROLLOUT)
        self.cluster.ready = {("fraud", version): 1 for version in PODS}
        self.answers: list[tuple[int, str, int]] = []
        """Status, version, and the share of v2 when it was asked."""

    def goes_on(self) -> dict[str, Any]:
        """Until the rollout has ended; returns what the object says then."""
        end = time.monotonic() + SECONDS
        with ThreadPoolExecutor(8) as callers:
            while time.monotonic() < end:
                self.loop.tick()
                told = self.cluster.rollout("fraud")
                self.publish()
                share = told["weight"]
                if told["settled"] == "v2":
                    return told
                answers = list(callers.map(lambda _: self.platform.request("/fraud/invocations"), range(60)))
                self.answers += [(each.status, each.headers["served-model-name"], share) for each in answers]
        pytest.fail(f"not ended within {SECONDS:.0f} s: {told}")

    def publish(self) -> None:
        """As the control plane does after each change of the object."""
        items = self.cluster.endpoints()
        (endpoint,) = accepted_endpoints(items)[0]
        served = with_rollout(endpoint, rollout_splits(items)["fraud"], PODS, {}, staying=PODS)
        pods = {("fraud", version.name): (self.servers[version.name],) for version in served.spec.versions}
        self.platform.publish(served, pods=pods)


def test_a_good_version_gets_everything_and_nobody_sees_a_failure(platform: Any) -> None:
    story = Story(platform)
    told = story.goes_on()

    assert (told["phase"], told["reason"], told["weight"]) == ("Completed", "GatesPassed", 100)
    assert {status for status, _, _ in story.answers} == {200}
    shares = [share for _, _, share in story.answers]
    assert sorted(set(shares)) == [0, 20, 50] or sorted(set(shares)) == [20, 50]
    assert shares == sorted(shares)
    by_share = Counter((share, version) for _, version, share in story.answers)
    assert 0.10 < by_share[20, "v2"] / (by_share[20, "v1"] + by_share[20, "v2"]) < 0.30
    answer = platform.request("/fraud/invocations")
    assert answer.headers["served-model-name"] == "v2"


def test_a_bad_version_is_taken_back_and_few_callers_saw_it(platform: Any) -> None:
    story = Story(platform)
    story.servers["v2"].fails_every = 20
    told = story.goes_on()

    assert (told["phase"], told["reason"], told["weight"]) == ("RolledBack", "ErrorRate", 0)
    assert "failed; of the former version's 0 of" in told["message"]
    failed = [version for status, version, _ in story.answers if status == 500]
    asked = [version for _, version, _ in story.answers if version == "v2"]
    assert set(failed) == {"v2"}
    assert len(asked) <= 500
    assert len(failed) / len(story.answers) < 0.03, "a twentieth of the first step's share"
    after = [platform.request("/fraud/invocations") for _ in range(30)]
    assert {(each.status, each.headers["served-model-name"]) for each in after} == {(200, "v1")}
