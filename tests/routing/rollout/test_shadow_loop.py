"""Shadows on objects: what was said goes on where it ended, and goes when there is no shadow any more."""

import copy
from typing import Any

from headrace.contract.shadow import DifferingPrediction
from headrace.kube.api_server import Key
from headrace.routing.rollout.balancer_counters import Counts
from headrace.routing.rollout.engine import Compared
from headrace.routing.rollout.fake_cluster import FakeCluster
from headrace.routing.rollout.shadow_loop import ShadowLoop

KEY = ("endpoint-fraud", "fraud")
DIFFERENCE = DifferingPrediction(time="2026-01-01T00:00:00Z", row=0, serving='"yes"', shadow='"no"')


class Unknown:
    """Balancers that cannot be asked."""

    def read(self, endpoint: str, balancers: Any) -> Counts | None:
        return None

    def forget(self, keep: Any) -> None:
        pass


class Compares:
    """Has compared ten predictions of each pair since it was last asked, of which one differs."""

    def __init__(self) -> None:
        self.wanted: list[Any] = []

    def want(self, pairs: Any) -> None:
        self.wanted = list(pairs)

    def taken(self, endpoint: str, new: str) -> tuple[Compared, list[DifferingPrediction]]:
        return Compared(answers=10, changed=1), [DIFFERENCE]


class World:
    """One endpoint with a shadow, and a controller."""

    def __init__(self, **spec: Any) -> None:
        self.cluster, self.compares, self.leads = FakeCluster(), Compares(), True
        item = self.cluster.add_endpoint("fraud", "v1")
        versions = [
            {"name": "v1", "modelUri": "m", "image": "i", "weight": 100},
            {"name": "next", "modelUri": "m", "image": "i", "weight": 0, "shadow": 50},
        ]
        item["spec"] = {"versions": versions, **spec}
        self.cluster.ready = {("fraud", "v1"): 1, ("fraud", "next"): 1}
        self.restarts()

    def restarts(self) -> None:
        self.loop = ShadowLoop(self.cluster, Unknown(), self.compares, self.write, leading=lambda: self.leads)

    def write(self, key: Key, told: list[dict[str, Any]] | None) -> None:
        self.cluster.objects[key].setdefault("status", {})["shadows"] = copy.deepcopy(told)

    def shadows(self) -> Any:
        return self.cluster.objects[KEY].get("status", {}).get("shadows")


def test_what_was_compared_is_added_to_what_the_object_says_by_any_replica() -> None:
    world = World()
    world.loop.look()
    world.restarts()
    world.loop.look()

    (said,) = world.shadows()
    assert (said["version"], said["beside"], said["predictions"], said["differing"]) == ("next", "v1", 20, 2)
    assert [found["shadow"] for found in said["differences"]] == ['"no"', '"no"']
    assert [(pair.endpoint, pair.new) for pair in world.compares.wanted] == [("fraud", "next")]


def test_without_a_shadow_nothing_is_said_of_one() -> None:
    world = World()
    world.loop.look()
    del world.cluster.objects[KEY]["spec"]["versions"][1]
    world.loop.look()

    assert world.shadows() is None
    assert world.compares.wanted == []


def test_a_replica_that_stands_by_compares_and_writes_nothing() -> None:
    world = World()
    world.leads = False
    world.loop.look()

    assert world.shadows() is None
    assert world.compares.wanted == []


def test_where_a_table_redacts_no_prediction_is_kept() -> None:
    world = World(inferenceTable={"uri": "s3://bucket/fraud", "redact": {"jsonPaths": ["$.x"]}})
    world.loop.look()

    (said,) = world.shadows()
    assert (said["differing"], said["differences"]) == (1, [])
