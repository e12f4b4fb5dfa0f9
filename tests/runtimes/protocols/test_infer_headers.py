"""Requests over REST of which all but the data was read before: what reading input by input gives, or nothing."""

import json
import math
import random
from typing import Any

import pytest

from bench import bodies
from headrace.runtimes.protocols import infer_headers, open_inference
from headrace.runtimes.protocols.infer_headers import Read
from headrace.runtimes.protocols.packing import Packer

COLUMNS = ["a", "b", "c"]
ROWS = [[1.5, -2.0, 1e300], [0.1, 3.0, 5e-324]]
REST = [form.name for form in bodies.forms(COLUMNS, ROWS).values() if form.path.startswith("/v2/") and not form.grpc]


def parts(form: bodies.Form) -> tuple[bytes, bytes]:
    """JSON part and binary part of a body."""
    length = int(dict(form.headers).get("Inference-Header-Content-Length", len(form.body)))
    return form.body[:length], form.body[length:]


def read(text: bytes, raw: bytes) -> Read | None:
    return infer_headers.read_binary(text, raw) if raw else infer_headers.read_json(text)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("described", [{"packs": COLUMNS}, {"packs": ["c", "a"]}, {"packs_shape": [3]}])
@pytest.mark.parametrize("name", REST)
def test_every_form_gives_the_rows_that_reading_input_by_input_gives(
    name: str, count: int, described: dict[str, Any]
) -> None:
    packer = Packer({"fast_forms": ["inputs"], **described})
    text, raw = parts(bodies.forms(COLUMNS, ROWS[:count])[name])

    for _ in range(2):  # the second time its header is known
        found = read(text, raw)
        assert found is not None
        slow = packer.tensors(open_inference.read_request(json.loads(text), raw).inputs)
        assert packer.doubles(found.inputs) == (slow and slow.body)


def test_a_request_keeps_its_own_id_and_asks_for_its_own_outputs() -> None:
    def asked(identity: str, output: str) -> bytes:
        tensor = {"name": "a", "datatype": "FP64", "shape": [1], "data": [1.0]}
        return json.dumps(
            {"id": identity, "inputs": [tensor], "outputs": [{"name": output}]}, separators=(",", ":")
        ).encode()

    found = [read(asked(identity, output), b"") for identity, output in (("1", "x"), ("2", "x"), ("2", "y"))]

    assert [(one.said.identity, one.said.outputs) for one in found if one is not None] == [
        ("1", {"x": False}),
        ("2", {"x": False}),
        ("2", {"y": False}),
    ]


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
    values = [None, True, 1, 2, -1, 0, 1.0, 1e308, "a", "FP64", "FP32", [], [1], [[1.5]], {}, 24, 2**63]
    return generator.choice([*values, '"data":[1]', "]", {"data": [1.0]}])


@pytest.mark.parametrize("name", REST)
def test_what_is_read_so_is_what_reading_input_by_input_takes(name: str) -> None:
    generator = random.Random(name)
    packer = Packer({"packs": COLUMNS, "fast_forms": ["inputs"]})
    text, raw = parts(bodies.forms(COLUMNS, ROWS)[name])
    document = json.loads(text)
    taken = 0
    for _ in range(4000):
        changed = {**document, "inputs": broken(generator, document["inputs"])}
        written = json.dumps(changed, separators=(",", ":") if generator.random() < 0.8 else None).encode()
        found = read(written, raw)
        if found is None:
            continue
        taken += 1
        slow = packer.tensors(open_inference.read_request(changed, raw).inputs)
        fast = packer.doubles(found.inputs)
        assert fast is None or fast == (slow and slow.body), changed

    assert taken > 20


@pytest.mark.parametrize("name", ["v2 JSON, one tensor", "v2 JSON, a tensor a column"])
def test_bytes_that_are_changed_are_read_as_json_reads_them_or_not_at_all(name: str) -> None:
    generator = random.Random(name)
    text, _ = parts(bodies.forms(COLUMNS, ROWS)[name])
    assert read(text, b"") is not None
    taken = 0
    for _ in range(20_000):
        at, cut = generator.randrange(len(text)), generator.choice([0, 1, 1, 8])
        put = generator.choice([b"", b"]", b"[", b",", b'"', b"1", b"-", b" ", b'"data":[1.0]', b"[1.0],", b"\\", b"}"])
        changed = text[:at] + put + text[at + cut :]
        found = read(changed, b"")
        if found is None:
            continue
        taken += 1
        inputs = open_inference.read_request(json.loads(changed), b"").inputs
        assert found.inputs.values.tolist() == [value for tensor in inputs for value in tensor.values], changed
        assert found.inputs.names == [tensor.name for tensor in inputs]
        assert {found.inputs.shape} == {tensor.shape for tensor in inputs}

    assert taken > 1000


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_carry_is_not_read_so(value: float) -> None:
    for name, form in bodies.forms(COLUMNS, [[1.0, value, 2.0]]).items():
        if name.startswith("v2 binary"):
            assert read(*parts(form)) is None


def test_what_is_kept_of_a_request_is_bounded_and_its_data_are_not() -> None:
    columns = [f"column {number}" for number in range(400)]
    forms = bodies.forms(columns, [[1.0] * 400] * 100)
    short, long = forms["v2 JSON, one tensor"], forms["v2 JSON, a tensor a column"]
    assert min(len(short.body), len(long.body)) > infer_headers.MOST_BYTES

    found = read(*parts(short))
    assert found is not None
    assert len(found.inputs.values) == 40_000
    assert read(*parts(long)) is None
    assert read(b'"data":[1.0]' * 100_000, b"") is None
