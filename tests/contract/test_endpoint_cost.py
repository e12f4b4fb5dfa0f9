"""What the pods of an endpoint cost an hour, and where nobody can say."""

from typing import Any

import pytest
from cluster_view import autoscaler

from headrace.contract.endpoint_cost import EndpointCost

USD: dict[str, Any] = {"podCostPerHour": 0.5, "currency": "USD", "priceSource": "1 x l4; a contract"}


def scaler(version: str = "v7", *, ready: int | None = 2, budget: Any = USD, **spec: Any) -> dict[str, Any]:
    told = {} if ready is None else {"readyReplicas": ready}
    return {**autoscaler(version, **told), "spec": {"targetRef": {"name": version}, "budget": budget, **spec}}


def test_versions_add_up_and_a_source_is_told_once() -> None:
    found = EndpointCost.of([scaler(maxReplicas=10), scaler("v8", ready=0, maxReplicas=4)])

    assert found == EndpointCost(now=1.0, most=7.0, currency="USD", sources=("1 x l4; a contract",))


@pytest.mark.parametrize(
    ("spec", "most"),
    [({}, 50.0), ({"budget": {**USD, "costPerHour": 3.0}}, 3.0), ({"stopped": True}, 0.0)],
    ids=["100 pods unless told", "a budget", "stopped"],
)
def test_the_most_is_what_the_autoscaler_may_order(spec: Any, most: float) -> None:
    found = EndpointCost.of([scaler(**spec)])

    assert found is not None
    assert found.most == most


@pytest.mark.parametrize(
    "others",
    [
        [scaler(budget={})],
        [autoscaler("v7", readyReplicas=1)],
        [scaler(ready=None)],
        [scaler(maxReplicas="many")],
        [scaler(budget={**USD, "currency": "EUR"})],
    ],
    ids=["no price", "a list without specs", "no pods told", "not an object that can be read", "another currency"],
)
def test_a_sum_of_which_a_part_is_not_known_is_not_told(others: Any) -> None:
    assert EndpointCost.of([scaler("v6"), *others]) is None
    assert EndpointCost.of([]) is None


def test_amounts_are_in_words_and_a_little_is_not_nothing() -> None:
    in_dollars, untold = (EndpointCost(now=0, most=0, currency=each, sources=()) for each in ("USD", ""))

    assert [in_dollars.in_words(amount) for amount in (0, 0.0063, 0.01, 1234.5)] == [
        "0.00 USD", "0.0063 USD", "0.01 USD", "1234.50 USD",
    ]  # fmt: skip
    assert untold.in_words(0.5) == "0.50"
