"""VisibleEndpoints: lists from caches and one endpoint from the API server, by the same rules of who sees what."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import eventually

from headrace.contract import names
from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER
from headrace.contract.caller import Caller
from headrace.contract.model_endpoint import MODEL_ENDPOINT
from headrace.kube.api_server import Missing
from headrace.observability.console.visible_endpoints import EndpointDetail, VisibleEndpoints, held, summarised
from tests.observability.console_stage import item_of, scaler_of

ROOT = Path(__file__).parents[2]


class Server:
    """Objects as the API server has them."""

    def __init__(self, *items: dict[str, Any], scalers: tuple[dict[str, Any], ...] = ()) -> None:
        self.items = {item["metadata"]["name"]: item for item in items}
        self.scalers = scalers

    def get(self, path: str) -> Any:
        name = path.rpartition("/")[2]
        assert f"/namespaces/{names.endpoint_namespace(name)}/" in path
        if name not in self.items:
            raise Missing(f"no {name}")
        return self.items[name]

    def pages(self, path: str) -> Iterator[Any]:
        yield [each for each in self.scalers if f"/namespaces/{each['metadata']['namespace']}/" in path], "1"


def detail(server: Any, name: str, subject: str) -> EndpointDetail | None:
    return VisibleEndpoints(server).detail(name, Caller(subject))


def test_one_endpoint_is_told_to_who_may_call_it() -> None:
    server = Server(item_of("fraud", subjects=("alice",)), scalers=(scaler_of("fraud"), scaler_of("churn")))

    found = detail(server, "fraud", "alice")

    assert found is not None
    assert found.state.word == "Ready"
    assert list(found.autoscalers) == ["v1"]
    assert [(each["version"], each["replicas"]) for each in found.decisions] == [("v1", 2)]
    assert detail(server, "fraud", "bob") is None
    assert detail(server, "fraud", "") is None
    assert detail(server, "nobody", "alice") is None
    assert detail(server, "../../secrets/x", "alice") is None


def test_an_object_that_cannot_be_read_or_has_another_s_name_is_nobody_s() -> None:
    elsewhere = item_of("fraud")
    elsewhere["metadata"]["namespace"] = "endpoint-other"
    broken = item_of("broken")
    broken["spec"]["access"] = {"subjects": "alice"}

    assert held(elsewhere) is None
    assert held(broken) is None
    assert held(item_of("fraud")) is not None


@pytest.mark.parametrize(("prices", "cost"), [((0.5, 0.25), 1.5), ((0.5, None), None), ((), None)])
def test_cost_is_known_where_every_version_s_price_is(prices: tuple[float | None, ...], cost: float | None) -> None:
    scalers = tuple(
        scaler_of("fraud", f"v{at}", **({} if price is None else {"budget": {"podCostPerHour": price}}))
        for at, price in enumerate(prices)
    )
    found = detail(Server(item_of("fraud"), scalers=scalers), "fraud", "alice")

    assert found is not None
    assert (None if found.state.cost is None else found.state.cost.now) == cost


def test_of_an_autoscaler_a_list_holds_no_decisions() -> None:
    kept = summarised(scaler_of("fraud"))

    assert kept["status"] == {
        "readyReplicas": 2, "desiredReplicas": 2, "concurrency": 8, "demand": "9.1", "reason": "ScaleUp",
    }  # fmt: skip
    assert held(item_of("fraud", rollout={"version": "v2", "memory": {"much": 1}})).rollout == {  # type: ignore[union-attr]
        "version": "v2", "former": "", "phase": "", "weight": "", "reason": "", "message": "",
    }  # fmt: skip


def test_lists_come_from_caches_by_name_and_part_of_it(api: Any) -> None:
    for item in (item_of("fraud", subjects=("alice",)), item_of("churn")):
        place = {"namespace": item["metadata"]["namespace"]}
        api.put(MODEL_ENDPOINT.path, item["metadata"]["name"], spec=item["spec"], status=item["status"], **place)
    scaler = scaler_of("fraud", budget={"podCostPerHour": 0.25, "currency": "EUR"})
    place = {"namespace": scaler["metadata"]["namespace"]}
    api.put(AUTOPILOT_POD_AUTOSCALER.path, "v1", spec=scaler["spec"], status=scaler["status"], **place)
    seen = VisibleEndpoints(api.client())
    seen.start()
    try:
        eventually(lambda: seen.synced, "both kinds were read")
        assert [each.name for each in seen.listed(Caller("alice"))] == ["churn", "fraud"]
        assert [each.name for each in seen.listed(Caller("bob"))] == ["churn"]
        [fraud] = seen.listed(Caller("alice"), "frau")
        state = seen.state(fraud)
        assert (state.versions[0].ready_pods, state.versions[0].why) == (2, "ScaleUp")
        assert state.cost is not None
        assert state.cost.in_words(state.cost.now) == "0.50 EUR"
    finally:
        seen.stop()


MEMORY = """
import re
from headrace.observability.console import __main__, visible_endpoints as seen
from tests.observability.console_stage import item_of, scaler_of
kept = [
    (seen.held(item_of(f"model-{at}", versions=2)), seen.summarised(scaler_of(f"model-{at}")))
    for at in range(1000)
]
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1))
"""
"""Prints the most KiB that the program has had with a thousand endpoints in its caches."""


def test_the_program_is_small_with_a_thousand_endpoints() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 1024 <= 80, "MiB"
