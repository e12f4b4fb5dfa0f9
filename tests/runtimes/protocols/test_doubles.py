"""Inputs of doubles read at once: the same as input by input, or not at all."""

import math
from typing import Any

import pytest

from bench import bodies
from headrace.contract.errors import InputError
from headrace.runtimes.protocols import doubles, inference_messages, messages
from headrace.runtimes.protocols.packing import Packer

COLUMNS = ["a", "b", "c"]
ROWS = [[1.5, -2.0, 1e300], [0.1, 3.0, 5e-324]]


def message(form: bodies.Form) -> Any:
    return inference_messages.parsed(form.body)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("described", [{"packs": COLUMNS}, {"packs": ["c", "a"]}, {"packs_shape": [3]}])
def test_every_message_gives_the_rows_that_reading_input_by_input_gives(count: int, described: dict[str, Any]) -> None:
    packer = Packer({"fast_forms": ["inputs"], **described})
    forms = [form for form in bodies.forms(COLUMNS, ROWS[:count]).values() if form.grpc]
    for form in forms:
        found, one_by_one = doubles.of_message(message(form)), inference_messages.read_message(message(form))
        assert found is not None, form.name
        slow = packer.tensors(one_by_one.inputs)
        assert packer.doubles(found) == (slow and slow.body), form.name

    assert len(forms) == 4


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_carry_is_not_read_at_once(value: float) -> None:
    for form in bodies.forms(COLUMNS, [[1.0, value, 2.0]]).values():
        if form.grpc:
            assert doubles.of_message(message(form)) is None


def test_a_message_that_is_not_plain_is_left_to_who_words_refusals() -> None:
    forms = bodies.forms(COLUMNS, ROWS)
    raw, typed = message(forms["gRPC raw, a tensor a column"]), message(forms["gRPC typed, a tensor a column"])
    raw.inputs[0].contents.fp64_contents.append(1.0)
    typed.inputs[1].contents.int_contents.append(1)
    short = message(forms["gRPC raw, one tensor"])
    short.raw_input_contents[0] = short.raw_input_contents[0][:-1]
    twice = message(forms["gRPC typed, a tensor a column"])
    twice.inputs[1].name = "a"

    for changed in (raw, typed, short, twice):
        assert doubles.of_message(changed) is None
        with pytest.raises(InputError):
            inference_messages.read_message(changed)
    assert doubles.of_message(messages.made("ModelInferRequest")) is None
