"""What Python's JSON carries and orjson does not, as a model's result: every protocol has it, or says why it has not.

A worker writes results as Python does, and /invocations passes them on. The other protocols read them.
"""

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from headrace.runtimes.http.front import Front
from headrace.runtimes.protocols import messages
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.grpc import PREFIX
from tests.runtimes.http import in_process
from tests.runtimes.http.in_process import Answered, ask
from tests.runtimes.http.test_front import DESCRIBED, GRPC_INFER, serve

INFER, CHAT, COMPLETIONS = "/v2/models/model/infer", "/v1/chat/completions", "/v1/completions"
ASKED = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
LONE = "a lone \ud800 surrogate"
DEEP = json.loads("[" * 600 + "1" + "]" * 600)


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return in_process.make_front(tmp_path, version="v7")


def answered(front: Front, result: Any, path: str, asked: dict[str, Any], *, streamed: bool = False) -> Answered:
    """The answer to a request whose model gave that result."""
    body = json.dumps(result if path.startswith("/v1/") else {"predictions": result}).encode()
    worker = serve(front, lambda work: Answer(200, b"" if streamed else body))
    worker.pieces = [body] if streamed else []
    front.backend.description = {
        **DESCRIBED,
        "task": "llm/v1/completions" if path == COMPLETIONS else DESCRIBED["task"],
    }  # type: ignore[attr-defined]
    return asyncio.run(ask(front, path, json.dumps(asked).encode()))


def called(front: Front, result: Any) -> Answered:
    """The same over gRPC."""
    made = messages.made("ModelInferRequest", model_name="model")
    tensor = made.inputs.add(name="x", datatype="FP64", shape=[1])
    tensor.contents.fp64_contents.append(1.0)
    data = made.SerializeToString()
    serve(front, lambda work: Answer(200, json.dumps({"predictions": result}).encode()))
    framed = PREFIX.pack(0, len(data)) + data
    return asyncio.run(ask(front, GRPC_INFER, framed, headers=(b"Content-Type: application/grpc",)))


@pytest.mark.parametrize(
    ("result", "datatype", "data"),
    [
        ([LONE], "BYTES", [LONE]),
        ([{"text": LONE}], "BYTES", [LONE]),
        ([[LONE, "b"]], "BYTES", [LONE, "b"]),
        ([{"a": {"b": LONE}}], "BYTES", [json.dumps({"b": LONE})]),
        ([1 << 70], "FP64", [2.0**70]),
        ([10**400], "BYTES", ["1" + "0" * 400]),
        ([10**400, 0.5], "BYTES", ["1" + "0" * 400, "0.5"]),
        ([1 << 70, LONE], "BYTES", [str(1 << 70), LONE]),
        (DEEP, "BYTES", [json.dumps(DEEP[0])]),
    ],
    ids=["text", "column", "matrix", "object", "70 bits", "no double", "mixed", "mixed with text", "deep"],
)
def test_results_over_open_inference(front: Front, result: Any, datatype: str, data: Any) -> None:
    answer = answered(front, result, INFER, ASKED)

    assert answer.status == 200, answer.body
    [output] = answer.json()["outputs"]
    assert output["datatype"] == datatype
    assert output["data"] == data


@pytest.mark.parametrize("result", [[LONE], [{"text": LONE}]], ids=["text", "column"])
def test_a_text_without_utf_8_is_refused_in_the_callers_dialect_where_bytes_are_asked_for(
    front: Front, result: Any
) -> None:
    binary = answered(front, result, INFER, {**ASKED, "parameters": {"binary_data_output": True}})
    remote = called(front, result)

    assert binary.status == 500
    assert "lone surrogate" in binary.json()["error"]
    assert remote.headers["grpc-status"] == "13"
    assert "lone surrogate" in remote.headers["grpc-message"]


def test_a_number_beyond_doubles_is_a_text_in_bytes(front: Front) -> None:
    binary = answered(front, [10**400], INFER, {**ASKED, "parameters": {"binary_data_output": True}})

    assert binary.status == 200
    assert binary.body.endswith(struct.pack("<I", 401) + b"1" + b"0" * 400)
    assert called(front, [10**400]).trailers["grpc-status"] == "0"


@pytest.mark.parametrize("result", [LONE, [LONE], {"messages": [{"role": "assistant", "content": LONE}]}])
def test_results_as_a_chat(front: Front, result: Any) -> None:
    answer = answered(front, result, CHAT, {"messages": [{"role": "user", "content": "hello"}]})

    assert answer.json()["choices"][0]["message"]["content"] == LONE


def test_results_as_a_completion(front: Front) -> None:
    answer = answered(front, [LONE, "b"], COMPLETIONS, {"prompt": ["x", "y"]})

    assert [choice["text"] for choice in answer.json()["choices"]] == [LONE, "b"]


@pytest.mark.parametrize("piece", [{"choices": [{"delta": {"content": LONE}}], "more": 1 << 70}, LONE])
def test_results_in_pieces(front: Front, piece: Any) -> None:
    asked = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    body = answered(front, piece, CHAT, asked, streamed=True).body

    first, last = body.decode().strip().split("\n\n")
    assert json.loads(first.removeprefix("data: "))["choices"][0]["delta"]["content"] == LONE
    assert last == "data: [DONE]"


def test_a_chat_that_holds_lists_as_deep_as_python_writes_them(front: Front) -> None:
    answer = answered(front, {"choices": [], "more": DEEP}, CHAT, {"messages": [{"role": "user", "content": "hello"}]})

    assert answer.json()["more"] == DEEP


@pytest.mark.parametrize("marked", [True, False])
def test_a_byte_order_mark_counts_in_the_length_that_its_sender_gives(front: Front, marked: bool) -> None:
    described = {"name": "x", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    text = (b"\xef\xbb\xbf" if marked else b"") + json.dumps({"inputs": [described]}).encode()
    serve(front)
    length = b"Inference-Header-Content-Length: %d" % len(text)

    assert asyncio.run(ask(front, INFER, text + struct.pack("<d", 1.0), headers=(length,))).status == 200
