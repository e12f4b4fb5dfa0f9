"""Inputs of doubles read at once: the same as input by input, or not at all."""

import json
import math
import random
from typing import Any

import pytest

from bench import bodies
from headrace.contract.errors import InputError
from headrace.runtimes.protocols import doubles, inference_messages, messages, open_inference
from headrace.runtimes.protocols.packing import Packer

COLUMNS = ["a", "b", "c"]
ROWS = [[1.5, -2.0, 1e300], [0.1, 3.0, 5e-324]]


def parts(form: bodies.Form) -> tuple[Any, bytes]:
    """JSON part and binary part of a body over REST."""
    length = int(dict(form.headers).get("Inference-Header-Content-Length", len(form.body)))
    return json.loads(form.body[:length]), form.body[length:]


def message(form: bodies.Form) -> Any:
    read = messages.CLASSES["ModelInferRequest"]()
    read.ParseFromString(form.body)
    return read


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("described", [{"packs": COLUMNS}, {"packs": ["c", "a"]}, {"packs_shape": [3]}])
def test_every_form_gives_the_rows_that_reading_input_by_input_gives(count: int, described: dict[str, Any]) -> None:
    packer = Packer({"fast_forms": ["inputs"], **described})
    read = 0
    for form in bodies.forms(COLUMNS, ROWS[:count]).values():
        if form.grpc:
            found, one_by_one = doubles.of_message(message(form)), inference_messages.read_message(message(form))
        elif form.path.startswith("/v2/"):
            document, raw = parts(form)
            found, one_by_one = doubles.of_document(document, raw), open_inference.read_request(document, raw)
        else:
            continue
        read += 1
        assert found is not None, form.name
        slow = packer.tensors(one_by_one.inputs)
        assert packer.doubles(found) == (slow and slow.body), form.name

    assert read == 8


def broken(generator: random.Random, document: Any) -> Any:
    """The document with one place changed."""
    if isinstance(document, dict) and document and generator.random() < 0.9:
        key = generator.choice(list(document))
        if generator.random() < 0.2:
            return {name: value for name, value in document.items() if name != key}
        return {**document, key: broken(generator, document[key])}
    if isinstance(document, list) and document and generator.random() < 0.8:
        at = generator.randrange(len(document))
        if generator.random() < 0.2:
            return document[:at] + document[at + 1 :]
        return [*document[:at], broken(generator, document[at]), *document[at + 1 :]]
    return generator.choice([None, True, 1, 2, -1, 0, 1.0, 1e308, "a", "FP64", "FP32", [], [1], [[1.5]], {}, 24, 2**63])


@pytest.mark.parametrize("name", ["v2 JSON, one tensor", "v2 JSON, a tensor a column", "v2 binary, a tensor a column"])
def test_what_is_read_at_once_is_what_reading_input_by_input_takes(name: str) -> None:
    generator = random.Random(name)
    packer = Packer({"packs": COLUMNS, "fast_forms": ["inputs"]})
    document, raw = parts(bodies.forms(COLUMNS, ROWS)[name])
    taken = 0
    for _ in range(4000):
        changed = {**document, "inputs": broken(generator, document["inputs"])}
        found = doubles.of_document(changed, raw)
        if found is None:
            continue
        taken += 1
        slow = packer.tensors(open_inference.read_request(changed, raw).inputs)
        fast = packer.doubles(found)
        assert fast is None or fast == (slow and slow.body), changed

    assert taken > 20


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_carry_is_not_read_at_once(value: float) -> None:
    for form in bodies.forms(COLUMNS, [[1.0, value, 2.0]]).values():
        if form.grpc:
            assert doubles.of_message(message(form)) is None
        elif form.name.startswith("v2 binary"):
            assert doubles.of_document(*parts(form)) is None


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
