"""gRPC's messages against the official ones, and their way to the same requests and tensors as over REST."""

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.contract.errors import InputError
from headrace.runtimes.protocols import inference_messages, messages, open_inference, tensors
from headrace.runtimes.protocols.open_inference import Tensor

PLAIN = sorted(set(inference_messages.CONTENTS) - {"BYTES"})


def asked(*inputs: dict[str, Any], **fields: Any) -> Any:
    """A ModelInferRequest."""
    message = messages.made("ModelInferRequest", **fields)
    for one in inputs:
        contents = one.pop("contents", {})
        described = message.inputs.add(**one)
        for name, values in contents.items():
            getattr(described.contents, name).extend(values)
    return message


def typed(datatype: str, values: list[Any], shape: list[int]) -> dict[str, Any]:
    return {
        "name": "x",
        "datatype": datatype,
        "shape": shape,
        "contents": {inference_messages.CONTENTS[datatype]: values},
    }


def test_every_field_is_the_official_one() -> None:
    """tritonclient carries modules generated from the protocol's own file."""
    official = pytest.importorskip("tritonclient.grpc.service_pb2").DESCRIPTOR
    known = {name: official.message_types_by_name[name] for name in official.message_types_by_name}
    for outer in list(known.values()):
        known.update({nested.name: nested for nested in outer.nested_types})

    for name, class_ in messages.CLASSES.items():
        for field in class_.DESCRIPTOR.fields:
            theirs = known[name].fields_by_name[field.name]
            assert (field.number, field.type) == (theirs.number, theirs.type), (name, field.name)
            assert field.is_repeated == theirs.is_repeated, (name, field.name)
            if field.message_type is not None:
                assert field.message_type.name == theirs.message_type.name
    assert official.services_by_name["GRPCInferenceService"].full_name == "inference.GRPCInferenceService"


@pytest.mark.parametrize("datatype", PLAIN)
def test_typed_and_raw_contents_mean_the_same(datatype: str) -> None:
    values = [True, False] if datatype == "BOOL" else [1.5, 2.0] if datatype.startswith("FP") else [1, 2]
    raw = asked(
        {"name": "x", "datatype": datatype, "shape": [2, 1]}, raw_input_contents=[tensors.to_bytes(datatype, values)]
    )

    one = inference_messages.read_message(asked(typed(datatype, values, [2, 1])))
    other = inference_messages.read_message(raw)

    assert one.inputs == other.inputs == (Tensor(name="x", datatype=datatype, shape=(2, 1), values=values),)
    assert (one.binary, other.binary) == (False, True)


def test_texts_travel_as_bytes() -> None:
    raw = tensors.to_bytes("BYTES", ["é", ""])
    one = inference_messages.read_message(asked(typed("BYTES", ["é".encode(), b""], [2])))
    other = inference_messages.read_message(
        asked({"name": "x", "datatype": "BYTES", "shape": [2]}, raw_input_contents=[raw])
    )

    assert one.inputs[0].values == other.inputs[0].values == ["é", ""]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (asked(), "at least one input"),
        (asked({"datatype": "FP64", "shape": [1]}), r"inputs\[0\] must have a name"),
        (asked({"name": "x", "datatype": "canary", "shape": [1]}), r"datatype of inputs\[0\] must be one of"),
        (asked({"name": "x", "datatype": "FP64", "shape": []}), r"shape of inputs\[0\]"),
        (asked({"name": "x", "datatype": "FP64", "shape": [-1]}), r"shape of inputs\[0\]"),
        (asked({"name": "x", "datatype": "FP64", "shape": [1] * 33}), "33 dimensions"),
        (asked(typed("FP64", [1.0], [2])), "1 elements, its shape needs 2"),
        (asked({"name": "x", "datatype": "FP16", "shape": [1]}), "raw_input_contents"),
        (asked(typed("BYTES", [b"\xff"], [1])), "UTF-8"),
        (
            asked({"name": "x", "datatype": "FP64", "shape": [1], "contents": {"int_contents": [1]}}),
            "belong in fp64_contents",
        ),
        (asked(typed("FP64", [1.0], [1]), raw_input_contents=[bytes(8)]), "send one of them"),
        (asked({"name": "x", "datatype": "FP64", "shape": [1]}, raw_input_contents=[bytes(7)]), "7 bytes"),
        (asked({"name": "x", "datatype": "FP64", "shape": [1]}, raw_input_contents=[b"", b""]), "2 entries"),
        (asked(typed("FP64", [1.0], [1]), typed("FP64", [1.0], [1])), "the same name"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(message: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        inference_messages.read_message(message)

    assert "canary" not in str(caught.value)


@settings(max_examples=60)
@given(
    st.sampled_from([*sorted(tensors.DATATYPES), "", "BF16"]),
    st.lists(st.integers(-1, 3), max_size=3),
    st.lists(st.binary(max_size=20), max_size=2),
    st.sampled_from(sorted(set(inference_messages.CONTENTS.values()))),
    st.lists(st.sampled_from([0, 1]), max_size=4),
)
def test_any_message_is_a_request_or_a_clear_refusal(
    datatype: str, shape: list[int], raw: list[bytes], field: str, numbers: list[int]
) -> None:
    values = [b"%d" % number for number in numbers] if field == "bytes_contents" else numbers
    one = {"name": "x", "datatype": datatype, "shape": shape, "contents": {field: values}}
    with contextlib.suppress(InputError):
        read = inference_messages.read_message(asked(one, raw_input_contents=raw))
        assert math.prod(read.inputs[0].shape) == len(read.inputs[0].values)


@pytest.mark.parametrize(
    ("output", "contents", "raw"),
    [
        (
            Tensor(name="p", datatype="INT64", shape=(2,), values=[1, 2]),
            "int64_contents",
            bytes([1, *[0] * 7, 2, *[0] * 7]),
        ),
        (Tensor(name="p", datatype="BYTES", shape=(1,), values=["é"]), "bytes_contents", b"\x02\0\0\0" + "é".encode()),
        (Tensor(name="p", datatype="BOOL", shape=(2,), values=[True, None]), "bool_contents", b"\1\0"),
    ],
)
def test_outputs_are_typed_or_raw_as_the_inputs_were(output: Tensor, contents: str, raw: bytes) -> None:
    plain, packed = messages.made("ModelInferResponse"), messages.made("ModelInferResponse")
    inference_messages.fill(plain, [output], raw=False)
    inference_messages.fill(packed, [output], raw=True)

    assert len(getattr(plain.outputs[0].contents, contents)) == output.shape[0]
    assert not plain.raw_output_contents
    assert list(packed.raw_output_contents) == [raw]
    assert not len(getattr(packed.outputs[0].contents, contents))


def test_a_missing_number_is_not_a_number_and_half_floats_are_always_raw() -> None:
    missing, half = messages.made("ModelInferResponse"), messages.made("ModelInferResponse")
    inference_messages.fill(missing, [Tensor(name="p", datatype="FP32", shape=(1,), values=[None])], raw=False)
    inference_messages.fill(half, [Tensor(name="p", datatype="FP16", shape=(1,), values=[1.5])], raw=False)

    assert math.isnan(missing.outputs[0].contents.fp32_contents[0])
    assert list(half.raw_output_contents) == [b"\x00\x3e"]


def test_a_request_is_written_for_an_engine_as_rest_reads_it() -> None:
    request = inference_messages.read_message(
        asked(
            {"name": "a", "datatype": "FP64", "shape": [2, 1]},
            {"name": "b", "datatype": "BYTES", "shape": [1]},
            raw_input_contents=[tensors.to_bytes("FP64", [1.5, 2.5]), tensors.to_bytes("BYTES", ["é"])],
        )
    )

    for binary in (True, False):
        document, raw = open_inference.written(request, binary=binary)
        assert open_inference.read_request(document, raw).inputs == request.inputs
        assert bool(raw) == binary
    outputs = open_inference.read_outputs(
        [
            {"name": "p", "datatype": "INT32", "shape": [2], "parameters": {"binary_data_size": 8}},
            {"name": "q", "datatype": "BYTES", "shape": [1], "data": ["x"]},
        ],
        tensors.to_bytes("INT32", [3, -4]),
    )
    assert [output.values for output in outputs] == [[3, -4], ["x"]]
