"""Messages that differ from ones before in their doubles alone: what protobuf reads, or nothing."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from bench import bodies
from headrace.runtimes.protocols import doubles, inference_messages, messages
from headrace.runtimes.protocols.message_forms import LEARNT_AFTER, MOST_BYTES, MOST_FORMS, Known, MessageForms
from headrace.runtimes.protocols.packing import Packer

COLUMNS = ["a", "b", "c"]
PACKER = Packer({"packs": COLUMNS, "fast_forms": ["inputs"]})
GRPC = [form.name for form in bodies.forms(COLUMNS, [[1.0, 2.0, 3.0]]).values() if form.grpc]


def rows(generator: random.Random, count: int = 1) -> list[list[float]]:
    return [[generator.choice([0.0, 1.0, generator.gauss(0, 1e6)]) for _ in COLUMNS] for _ in range(count)]


def message(name: str, table: Sequence[Sequence[float]], **fields: Any) -> Any:
    made = inference_messages.parsed(bodies.forms(COLUMNS, table)[name].body)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def learn(forms: MessageForms, data: bytes) -> None:
    made = inference_messages.parsed(data)
    inputs = doubles.of_message(made)
    assert inputs is not None
    forms.learn(data, inference_messages.around(made), inputs)


def learnt(name: str, table: Sequence[Sequence[float]]) -> MessageForms:
    forms = MessageForms()
    for _ in range(LEARNT_AFTER):
        learn(forms, message(name, table).SerializeToString())
    return forms


def as_protobuf_has_it(known: Known, data: bytes) -> bool:
    made = inference_messages.parsed(data)
    inputs = doubles.of_message(made)
    said = inference_messages.around(made)
    address = (known.address.model_name, known.address.model_version, known.address.id)
    return (
        inputs is not None
        and known.packed == PACKER.doubles(inputs)
        and (known.said.outputs, known.said.binary) == (said.outputs, said.binary)
        and address == (made.model_name, made.model_version, made.id)
    )


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", GRPC)
def test_other_rows_of_other_callers_are_read_as_protobuf_reads_them(name: str, count: int) -> None:
    generator = random.Random(name)
    forms = learnt(name, [[1.5, 2.5, 3.5]] * count)
    for number in range(100):
        table = rows(generator, count)
        data = message(name, table, id="x" * (number % 30), model_version="7" * (number % 3)).SerializeToString()

        known = forms.read(data, PACKER.doubles)

        assert known is not None
        assert as_protobuf_has_it(known, data)


@pytest.mark.parametrize("name", GRPC)
def test_bytes_that_are_changed_are_read_as_protobuf_reads_them_or_not_at_all(name: str) -> None:
    generator = random.Random(name)
    plain = message(name, [[1.5, 2.5, 3.5]], id="an id").SerializeToString()
    forms = learnt(name, [[1.5, 2.5, 3.5]])
    read = 0
    for _ in range(20_000):
        data = bytearray(plain)
        for _ in range(generator.choice([1, 1, 2])):
            data[generator.randrange(len(data))] = generator.randrange(256)
        known = forms.read(bytes(data), PACKER.doubles)
        if known is not None:
            read += 1
            assert as_protobuf_has_it(known, bytes(data))

    assert read > 1000


def test_a_form_whose_doubles_cannot_be_told_from_other_bytes_is_not_used() -> None:
    name = "gRPC typed, a tensor a column"
    made = message(name, [[0.0, 0.0, 0.0]])
    made.inputs[0].name = "\0" * 8  # eight zero bytes come before the doubles that are zero
    data = made.SerializeToString()
    forms = MessageForms()
    for _ in range(2 * LEARNT_AFTER):
        learn(forms, data)

    assert forms.read(data, lambda inputs: inputs.values.tobytes()) is None


def test_numbers_that_are_not_finite_are_left_to_who_words_refusals() -> None:
    for name in GRPC:
        forms = learnt(name, [[1.5, 2.5, 3.5]])
        assert forms.read(message(name, [[1.5, float("nan"), 2.0]]).SerializeToString(), PACKER.doubles) is None


def test_a_form_is_proven_only_for_a_caller_who_asks_in_the_same_words_again() -> None:
    data = message(GRPC[0], [[1.5, 2.5, 3.5]]).SerializeToString()
    forms = MessageForms()
    for _ in range(LEARNT_AFTER):
        assert forms.read(data, PACKER.doubles) is None
        learn(forms, data)

    assert forms.read(data, PACKER.doubles) is not None


def test_what_is_kept_is_bounded() -> None:
    forms = MessageForms()
    for count in range(1, MOST_FORMS + 10):
        data = message("gRPC raw, one tensor", [[1.5, 2.5, 3.5]] * count).SerializeToString()
        for _ in range(LEARNT_AFTER):
            learn(forms, data)
        assert (forms.read(data, PACKER.doubles) is not None) == (count <= MOST_FORMS)

    long = message("gRPC raw, one tensor", [[1.5, 2.5, 3.5]] * MOST_BYTES).SerializeToString()
    fresh = MessageForms()
    for _ in range(LEARNT_AFTER):
        learn(fresh, long)
    assert fresh.read(long, PACKER.doubles) is None


@pytest.mark.parametrize("data", [b"", b"\x0a", b"\x0a\x05ab", b"\x0a\x80\x01", b"\x1a\x02\xff\xfe", b"\xff" * 40])
def test_what_is_no_message_is_no_known_one(data: bytes) -> None:
    assert learnt(GRPC[0], [[1.5, 2.5, 3.5]]).read(data, PACKER.doubles) is None
    assert messages.parsed("ModelInferRequest", data) is None or data == b""
