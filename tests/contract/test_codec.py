"""Frozen data to plain JSON and back, and what is said of JSON that does not fit."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import pytest

from headrace.contract.codec import decode, encode, faults_of, read
from headrace.contract.declaration import At, AtMost, Bounds, Items, Needs, NotEmpty, Style
from headrace.contract.errors import InputError
from headrace.contract.runtime import EnginePlan, Protocol


class Grain(StrEnum):
    RYE = "rye"
    OATS = "oats"


@dataclass(frozen=True, kw_only=True)
class Sack:
    grain: Grain
    kilograms: Annotated[float, Bounds(above=0)] = 25
    seller: NotEmpty | None = None


@dataclass(frozen=True, kw_only=True)
class Mill:
    sacks: Annotated[tuple[Sack, ...], Items(maximum=3, key="grain")] = ()
    stones_min: Annotated[int, At("stones.min"), Bounds(minimum=0), AtMost("stones_max")] = 1
    stones_max: Annotated[int, At("stones.max")] = 4
    price: Annotated[float | None, Needs("unit")] = None
    unit: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = True
    level: float = 0.0


FULL = Mill(
    sacks=(Sack(grain=Grain.RYE, kilograms=2.5), Sack(grain=Grain.OATS, seller="Ann")),
    stones_min=0,
    price=0.0,
    unit="kg",
    notes={"monday": "closed"},
    is_open=False,
)


def faults(data: Any, style: Style = Style.PLAIN) -> list[str]:
    return [str(fault) for fault in read(Mill, data, style)[1]]


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("mill", [FULL, Mill()])
def test_data_survive_json_in_every_style(mill: Mill, style: Style) -> None:
    assert decode(Mill, json.loads(json.dumps(encode(mill, style), allow_nan=False)), style) == mill


def test_plain_objects_have_the_fields_names_and_kubernetes_objects_their_places() -> None:
    assert encode(FULL)["stones_min"] == 0
    assert encode(FULL)["sacks"][0] == {"grain": "rye", "kilograms": 2.5, "seller": None}

    assert encode(FULL, Style.KUBERNETES)["stones"] == {"min": 0, "max": 4}
    assert encode(FULL, Style.KUBERNETES)["isOpen"] is False
    assert encode(FULL, Style.KUBERNETES)["sacks"][0] == {"grain": "rye", "kilograms": 2.5}


@pytest.mark.parametrize(("level", "text"), [(math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, "NaN")])
def test_numbers_that_json_lacks_travel_as_texts(level: float, text: str) -> None:
    assert encode(Mill(level=level))["level"] == text
    assert repr(decode(Mill, {"level": text}).level) == repr(level)


def test_null_stands_for_absence() -> None:
    assert decode(Mill, {"level": None, "price": None, "stones_max": None}) == Mill()


def test_zero_and_the_empty_text_are_values() -> None:
    assert decode(Mill, {"price": 0, "unit": "", "stones_max": 1.0}) == Mill(price=0.0, unit="", stones_max=1)


def test_every_fault_is_named_at_once_by_its_place_in_the_data() -> None:
    data = {
        "sacks": [{"grain": "rice"}, {"kilograms": 0, "grain": "rye", "seller": ""}, {}],
        "stones_min": 2.5,
        "notes": {"monday": 1},
        "is_open": "yes",
        "level": True,
        "wheel": 1,
    }

    assert faults(data) == [
        "wheel is unknown, must be one of is_open, level, notes, price, sacks, stones_max, stones_min, unit",
        "sacks[0].grain = 'rice', must be one of rye, oats",
        "sacks[1].kilograms = 0, must be above 0",
        "sacks[1].seller is empty; set it",
        "sacks[2].grain is missing; set it",
        "stones_min = 2.5, must be a whole number",
        "notes['monday'] = 1, must be a text",
        "is_open = 'yes', must be true or false",
        "level = True, must be a number",
    ]


def test_fields_are_held_to_each_other_when_both_can_be_read() -> None:
    assert faults({"stones": {"min": 5}, "price": 1}, Style.KUBERNETES) == [
        "stones.min = 5, must be at most stones.max (4): lower it or raise stones.max",
        "unit is missing, must be given with price; set it",
    ]
    assert faults({"stones_min": 5, "stones_max": "few"}) == ["stones_max = 'few', must be a whole number"]


def test_items_of_a_list_are_counted_and_told_apart() -> None:
    rye, oats = {"grain": "rye"}, {"grain": "oats"}

    assert faults({"sacks": [rye, oats, rye]}) == [
        "sacks grain = 'rye' appears 2 times, must be unique; rename or remove one"
    ]
    assert faults({"sacks": [rye] * 4}) == ["sacks has 4 items, must have at most 3"]
    assert faults({"sacks": "rye"}) == ["sacks = 'rye', must be a list"]


def test_no_number_is_in_no_bounds() -> None:
    assert faults({"sacks": [{"grain": "rye", "kilograms": "NaN"}]}) == ["sacks[0].kilograms = nan, must be above 0"]


def test_what_holds_fields_must_be_an_object() -> None:
    assert faults([]) == ["the whole = [], must be an object"]
    assert faults({"stones": 3}, Style.KUBERNETES) == ["stones = 3, must be an object"]


def test_only_kubernetes_objects_may_have_a_field_that_nobody_knows() -> None:
    assert decode(Mill, {"wheel": 1}, Style.KUBERNETES) == Mill()
    with pytest.raises(InputError, match="Mill: wheel is unknown"):
        decode(Mill, {"wheel": 1})


def test_a_value_made_by_hand_is_held_to_the_same_rules() -> None:
    assert [str(fault) for fault in faults_of(Mill(stones_min=-1, price=1.0))] == [
        "stones_min = -1, must be at least 0",
        "unit is missing, must be given with price; set it",
    ]


def test_a_field_that_is_known_otherwise_is_not_looked_for() -> None:
    assert decode(Sack, {"kilograms": 1}, known={"grain": Grain.RYE}) == Sack(grain=Grain.RYE, kilograms=1.0)
    with pytest.raises(InputError, match="grain is unknown"):
        decode(Sack, {"grain": "oats"}, known={"grain": Grain.RYE})


def test_long_values_are_not_repeated_whole() -> None:
    (fault,) = faults({"level": "x" * 5000})

    assert len(fault) < 200


def test_the_plan_of_an_engine_survives_its_environment_variable() -> None:
    plan = EnginePlan(
        name="custom",
        command=("serve", "{port}"),
        environment={"A": "1"},
        protocol=Protocol.OPENAI,
        health="/ping",
        concurrency=0,
        signature={"inputs": None},
    )

    assert EnginePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    with pytest.raises(InputError, match="command is missing; set it; protocol = 'grpc', must be one of"):
        EnginePlan.from_json({"name": "custom", "protocol": "grpc", "health": "/ping"})
