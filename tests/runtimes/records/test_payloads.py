"""Payloads of every protocol, as the texts of a row."""

import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.contract import names
from headrace.runtimes.protocols import grpc, messages
from headrace.runtimes.records import payloads
from tests.runtimes.records.record_frames import meta

INFER = f"/{names.GRPC_SERVICE}/ModelInfer"


@given(st.text(max_size=200))
def test_a_text_stays_what_it_was_byte_for_byte(text: str) -> None:
    data = text.encode("utf-8", "replace")
    if not data.startswith((b"data:", b"event:", b":")):
        assert payloads.texts(meta(), data, data) == (data.decode(), data.decode())


@given(st.binary(min_size=1, max_size=200))
def test_bytes_that_are_no_text_can_be_had_again(data: bytes) -> None:
    request, _ = payloads.texts(meta(), b"\xff" + data, None)
    assert request is not None

    assert base64.b64decode(request.removeprefix("data:application/octet-stream;base64,")) == b"\xff" + data


@pytest.mark.parametrize("raw", [False, True])
def test_a_call_over_grpc_is_the_json_that_rest_has(raw: bool) -> None:
    message = messages.made("ModelInferRequest", model_name="m", id="7")
    tensor = message.inputs.add(name="rows", datatype="FP64", shape=[2])
    answer = messages.made("ModelInferResponse", model_name="m", model_version="v7", id="7")
    out = answer.outputs.add(name="y", datatype="INT64", shape=[2])
    if raw:
        message.raw_input_contents.append(struct.pack("<2d", 1.5, 2.5))
        answer.raw_output_contents.append(struct.pack("<2q", 1, 2))
    else:
        tensor.contents.fp64_contents.extend([1.5, 2.5])
        out.contents.int64_contents.extend([1, 2])
    framed = [grpc.answer(one.SerializeToString()).body for one in (message, answer)]

    request, response = payloads.texts(meta(path=INFER), *framed)

    rows = {"name": "rows", "datatype": "FP64", "shape": [2], "data": [1.5, 2.5]}
    outputs = [{"name": "y", "datatype": "INT64", "shape": [2], "data": [1, 2]}]
    assert json.loads(request or "") == {"id": "7", "inputs": [rows]}
    assert json.loads(response or "") == {"model_name": "m", "model_version": "v7", "id": "7", "outputs": outputs}


def test_a_message_that_is_none_keeps_its_bytes() -> None:
    request, response = payloads.texts(meta(path=INFER), b"\0\0\0\0\1\xff", b"")

    assert (request or "").startswith("data:application/octet-stream;base64,")
    assert response == ""


def test_binary_tensors_over_rest_are_the_json_of_the_same_tensors() -> None:
    asked = {"name": "rows", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [asked]}).encode()
    answered = {"name": "y", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": 16}}
    said = json.dumps({"model_name": "m", "outputs": [answered]}).encode()
    braces = b"}" * 16  # bytes that look like JSON's end

    request, response = payloads.texts(
        meta(path="/v2/models/m/infer", json_length=len(head)), head + struct.pack("<d", 1.5), said + braces
    )

    assert json.loads(request or "")["inputs"] == [{"name": "rows", "datatype": "FP64", "shape": [1], "data": [1.5]}]
    [found] = json.loads(response or "")["outputs"]
    assert found["data"] == list(struct.unpack("<2d", braces))
