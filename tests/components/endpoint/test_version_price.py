"""What a pod costs is told on the autoscaler's object, and on no pod."""

from typing import Any

import pytest
from stand_ins import REF_OF_A_PLATFORM

from headrace.components import ModelEndpoint
from headrace.components.endpoint.selection.choice import Runtime
from headrace.components.endpoint.sizing import Allotment, allotment
from headrace.components.endpoint.version_price import version_price, with_price
from headrace.components.platform.prices import PodPrice, Prices
from headrace.components.testing import Recording, record
from headrace.contract import names
from headrace.contract.apa import AutoscalerSpec

pytestmark = pytest.mark.usefixtures("stand_in_images")

SCALE = AutoscalerSpec(target="v7")
OWN = AutoscalerSpec(target="v7", pod_cost_per_hour=0.5)


def size(gpus: int = 0) -> Allotment:
    return allotment(Runtime.MLFLOW, 0, gpus=gpus, cpu=1.0, memory_mib=1024)


def priced(gpus: int = 0, pool: str = "", scale: AutoscalerSpec = SCALE) -> PodPrice | None:
    selector = {names.GPU_POOL_LABEL: pool} if pool else {}
    return version_price(Prices(), size(gpus), gpu_memory_gib=24, node_selector=selector, scale=scale)


def recording(prices: Any = None, **inputs: Any) -> Recording:
    platform = {**REF_OF_A_PLATFORM, "autoscaler": True, **({} if prices is None else {"prices": prices})}
    given: Any = {"platform": platform, "model_uri": "models:/fraud/7", **inputs}
    return record(lambda: ModelEndpoint("fraud", given))


def budget(made: Recording) -> Any:
    return made.named("fraud-v7-autoscaler").inputs["spec"].get("budget")


def test_the_endpoints_own_price_of_a_pod_comes_before_any_table() -> None:
    assert priced(scale=OWN) == PodPrice(per_hour=0.5, reason="scale.pod_cost_per_hour")
    assert priced() == PodPrice(per_hour=pytest.approx(0.0126), reason="6% of a node of 4 cores and 16 GiB")


def test_a_pod_with_gpus_has_the_price_of_its_pool_and_more_gpus_than_any_machine_has_none() -> None:
    reasons = [None if found is None else found.reason for found in (priced(1), priced(1, "a10g"), priced(16))]

    assert reasons == ["1 x l4", "1 x a10g", None]


def test_what_is_written_says_where_a_price_is_from_and_a_price_of_nothing_is_not_written() -> None:
    prices = Prices.of_setting({"currency": "EUR", "source": "contract of 2026"})

    table = with_price(SCALE, PodPrice(per_hour=0.1234567, reason="1 x l4"), prices)
    own = with_price(OWN, PodPrice(per_hour=0.5, reason="scale.pod_cost_per_hour"), prices)
    assert (table.pod_cost_per_hour, table.currency, table.price_source) == (
        0.123457, "EUR", "1 x l4; contract of 2026",
    )  # fmt: skip
    assert (own.pod_cost_per_hour, own.currency, own.price_source) == (0.5, "EUR", "scale.pod_cost_per_hour")
    assert with_price(SCALE, None, prices) == SCALE
    assert with_price(SCALE, PodPrice(per_hour=0.0, reason="1 x l4"), prices) == SCALE


def test_an_endpoint_tells_the_price_of_its_platform_and_without_one_only_its_own() -> None:
    assert budget(recording({})) == {
        "podCostPerHour": 0.0126,
        "currency": "USD",
        "priceSource": "6% of a node of 4 cores and 16 GiB; AWS on demand, us-east-1, 2026-05-18",
    }
    assert not budget(recording())
    assert budget(recording(scale={"pod_cost_per_hour": 0.5})) == {"podCostPerHour": 0.5}


def test_the_pool_that_pods_are_bound_to_is_the_one_that_is_priced() -> None:
    bound = {"node_selector": {names.GPU_POOL_LABEL: "l4"}, "runtime": {"gpus": 1}}

    assert budget(recording({"gpus": {"l4": 2.0}}, **bound))["podCostPerHour"] == 2.0


def test_another_price_changes_the_autoscalers_object_and_nothing_else() -> None:
    def written(made: Recording) -> dict[str, Any]:
        made_of = {resource.name: resource.inputs for resource in made.resources.values()}
        return {name: inputs for name, inputs in made_of.items() if name != "fraud"}

    before, after = (written(recording({"node": {"per_hour": price}})) for price in (0.2, 0.4))

    assert "fraud-v7-deployment" in before
    assert {name for name in before if before[name] != after[name]} == {"fraud-v7-autoscaler"}
