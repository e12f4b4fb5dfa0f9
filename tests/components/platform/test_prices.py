"""What a pod costs by the hour."""

import dataclasses
from typing import Any

import pytest

from headrace.components.cluster.gpu_shapes import SHAPES
from headrace.components.platform.prices import NodePrice, PricedNode, PriceList, Prices
from headrace.contract.errors import InputError


@pytest.mark.parametrize(
    ("cores", "memory_gib", "share"),
    [(1.0, 4.0, 0.25), (0.25, 8.0, 0.5), (4.0, 1.0, 1.0)],
    ids=["as the node is cut", "by its memory", "by its cores"],
)
def test_a_pod_costs_the_larger_of_its_shares_of_a_node(cores: float, memory_gib: float, share: float) -> None:
    price = Prices().of_pod(cores=cores, memory_gib=memory_gib)

    assert price is not None
    assert price.per_hour == pytest.approx(share * 0.2016)


@pytest.mark.parametrize(
    ("gpus", "memory", "pool", "kind", "per_gpu"),
    [
        (1, 16, "", "t4", 0.526),
        (1, 24, "", "l4", 0.8048),
        (1, 24, "a10g", "a10g", 1.006),
        (1, 24, "named otherwise", "l4", 0.8048),
        (4, 24, "", "l4", 4.6016 / 4),
        (8, 80, "", "a100_80", 27.44705 / 8),
        (8, 80, "h100", "h100", 6.88),
        (1, 80, "l4", "l4", 0.8048),
    ],
)
def test_a_pod_with_gpus_costs_its_part_of_the_cheapest_machine_that_holds_it(
    gpus: int, memory: float, pool: str, kind: str, per_gpu: float
) -> None:
    price = Prices().of_pod(cores=4, memory_gib=16, gpus=gpus, gpu_memory_gib=memory, pool=pool)

    assert price is not None
    assert price.reason == f"{gpus} x {kind}"
    assert price.per_hour == pytest.approx(gpus * per_gpu)


def test_every_machine_of_a_pool_has_a_price_and_16_gpus_have_none() -> None:
    for shape in SHAPES:
        price = Prices().of_pod(cores=1, memory_gib=1, gpus=shape.count, gpu_memory_gib=0, pool=shape.gpu)
        assert price is not None
        assert price.reason == f"{shape.count} x {shape.gpu}"
    assert Prices().of_pod(cores=1, memory_gib=1, gpus=16) is None


def test_a_stacks_own_prices_come_first_and_say_where_they_are_from() -> None:
    own = Prices.of_setting({"gpus": {"l4": 0.5}, "node": {"per_hour": 1.0}, "currency": "EUR"})

    assert own.source == "the setting `prices`"
    gpu, node = own.of_pod(cores=1, memory_gib=1, gpus=1, gpu_memory_gib=24), own.of_pod(cores=1, memory_gib=1)
    assert gpu is not None
    assert node is not None
    assert (gpu.per_hour, node.per_hour) == (0.5, 0.25)
    assert Prices.of_setting({}).source == "AWS on demand, us-east-1, 2026-05-18"


def test_every_fault_of_the_setting_is_told() -> None:
    with pytest.raises(InputError) as told:
        Prices.of_setting({"node": {"cores": 0}, "gpus": {"l4": -1}, "l4": 0.8})

    assert str(told.value).count("must be") == 3
    assert [*Prices.faults({"gpus": {"l4": -1.0}})] == ["prices.gpus['l4'] = -1, must be at least 0"]
    assert not [*Prices.faults({})]


@pytest.mark.parametrize(("written", "declared"), [(PriceList, Prices), (PricedNode, NodePrice)])
def test_every_input_is_declared(written: Any, declared: Any) -> None:
    assert set(written.__annotations__) == {field.name for field in dataclasses.fields(declared)}
    assert not written.__required_keys__
