"""The rows of test_bad_input.py in the other dialects: Open Inference over REST and OpenAI's.

gRPC's are in test_rpc.py. Left out are rows that mean one thing whatever the path (F55 to F79: framing, heads and
sizes, which are refused before a path is looked at), rows of forms that the dialect does not have (F01 to F06, F13,
F15, F16, F26, F37 to F39, F42 to F44: tables, CSV, Parquet and params), and F31 to F36: neither asks what a body calls
itself.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.slow

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
CANARY = "canary-4111"
INFER = "/v2/models/model/infer"
CHAT = "/v1/chat/completions"


def tensors(**changes: Any) -> str:
    """One tensor a column, with changes to the first."""
    inputs: list[dict[str, Any]] = [{"name": name, "shape": [1], "datatype": "FP64", "data": [5.1]} for name in COLUMNS]
    inputs[0].update(changes)
    return json.dumps({"inputs": inputs})


def said(content: Any = "hello", **more: Any) -> str:
    return json.dumps({"messages": [{"role": "user", "content": content}], **more})


GOOD = tensors()
DEEP = "[" * 100_000 + "]" * 100_000
ROWS: list[tuple[str, str, str | bytes, int]] = [
    ("good", INFER, GOOD, 200),
    ("F07", INFER, "", 400),
    ("F08", INFER, f"this is {CANARY} not json", 400),
    ("F09", INFER, GOOD[:-4], 400),
    ("F10", INFER, f'["{CANARY}"]', 400),
    ("F11", INFER, "1", 400),
    ("F12", INFER, "null", 400),
    ("F14", INFER, json.dumps({CANARY: 1}), 400),
    ("F14", INFER, json.dumps({"inputs": [{CANARY: 1}]}), 400),
    ("F14", INFER, json.dumps({"inputs": {CANARY: 1}}), 400),
    ("F17", INFER, tensors(shape=[2]), 400),
    ("F17", INFER, tensors(data=[[1], 2]), 400),
    ("F18", INFER, tensors(name=CANARY), 400),
    ("F19", INFER, tensors(data=[CANARY]), 400),
    ("F19", INFER, tensors(datatype="BYTES", data=[CANARY]), 400),
    ("F19", INFER, tensors(datatype=CANARY), 400),
    ("F19", INFER, tensors(datatype=[CANARY]), 400),
    ("F19", INFER, tensors(shape=CANARY), 400),
    ("F19", INFER, tensors(shape=[1] * 200), 400),
    ("F19", INFER, tensors(parameters=[CANARY]), 400),
    ("F19", INFER, tensors(parameters={"binary_data_size": CANARY}), 400),
    ("F19", INFER, json.dumps({**json.loads(GOOD), "outputs": [CANARY]}), 400),
    ("F19", INFER, json.dumps({**json.loads(GOOD), "outputs": [{"name": CANARY}]}), 400),
    ("F19", INFER, json.dumps({**json.loads(GOOD), "id": {CANARY: 1}}), 400),
    ("F20", INFER, GOOD.replace("5.1", "NaN"), 400),
    ("F21", INFER, GOOD.replace("5.1", "Infinity"), 400),
    ("F22", INFER, GOOD.replace("5.1", "1e400"), 400),
    ("F23", INFER, GOOD.replace("5.1", "9" * 5000), 400),
    ("F24", INFER, DEEP, 400),
    ("F25", INFER, '{"inputs": 1, ' + GOOD[1:], 200),
    ("F27", INFER, GOOD.encode().replace(b"5.1", b'"\xff"'), 400),
    ("F28", INFER, GOOD.encode("utf-16"), 400),
    ("F29", INFER, GOOD.replace("5.1", '"\\ud800"'), 400),
    ("F41", INFER, GOOD, 415),
    ("F46", INFER, b"", 405),
    ("F51", "/v2/models/other/infer", GOOD, 404),
    ("F51", f"/v2/models/model/versions/{CANARY}/infer", GOOD, 404),
    ("F51", f"/v2/{CANARY}", GOOD, 404),
    ("F74", INFER, GOOD[:-1] + ', "__class__": 1, "__proto__": {}}', 200),
    ("F75", INFER, b"\x80\x04\x95.", 400),
    ("F80", INFER, tensors(data=[{"x": CANARY}]), 400),
    ("good", CHAT, said(), 200),
    ("F07", CHAT, "", 400),
    ("F08", CHAT, f"this is {CANARY} not json", 400),
    ("F09", CHAT, said()[:-4], 400),
    ("F10", CHAT, f'["{CANARY}"]', 400),
    ("F11", CHAT, "1", 400),
    ("F12", CHAT, "null", 400),
    ("F14", CHAT, json.dumps({CANARY: 1}), 400),
    ("F19", CHAT, json.dumps({"messages": CANARY}), 400),
    ("F19", CHAT, json.dumps({"messages": []}), 400),
    ("F19", CHAT, json.dumps({"messages": [CANARY]}), 400),
    ("F19", CHAT, json.dumps({"messages": [{"role": {CANARY: 1}, "content": 1}]}), 400),
    ("F19", CHAT, said(temperature=CANARY), 400),
    ("F20", CHAT, said(temperature=1).replace(": 1", ": NaN"), 400),
    ("F23", CHAT, said(max_tokens=1).replace(": 1", ": " + "9" * 5000), 400),
    ("F24", CHAT, DEEP, 400),
    ("F27", CHAT, said().encode().replace(b"hello", b"\xff"), 400),
    ("F28", CHAT, said().encode("utf-16"), 400),
    ("F29", CHAT, said().replace("hello", "\\ud800"), 400),
    ("F41", CHAT, said(), 415),
    ("F45", CHAT, said("raise"), 400),
    ("F45", CHAT, said("raise", stream=True), 400),
    ("F46", CHAT, b"", 405),
    ("F51", f"/v1/{CANARY}", said(), 404),
    ("F51", "/v1/embeddings", json.dumps({"input": CANARY}), 404),
    ("F75", CHAT, b"\x80\x04\x95.", 400),
]

CHAT_MODEL = """
from mlflow.pyfunc import ChatModel
from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage

class Model(ChatModel):
    def predict(self, context, messages, params):
        if messages[-1].content == "raise":
            raise ValueError("canary-4111")
        message = ChatMessage(role="assistant", content="hello")
        return ChatCompletionResponse(choices=[ChatChoice(index=0, message=message)])

    def predict_stream(self, context, messages, params):
        raise ValueError("canary-4111")
        yield
"""


@pytest.fixture(scope="module")
def fronts(start_front: Any, iris_front: Any, python_model: Callable[..., Path]) -> Iterator[dict[str, Any]]:
    """A front of each dialect."""
    with start_front(python_model(CHAT_MODEL)) as chat:
        yield {"/v1": chat, "/v2": iris_front}


@pytest.mark.parametrize(
    ("row", "path", "body", "status"), ROWS, ids=[f"{row}-{path[:3]}-{at}" for at, (row, path, *_) in enumerate(ROWS)]
)
def test_a_row_has_its_code_in_the_dialect_of_its_path(
    fronts: dict[str, Any], row: str, path: str, body: str | bytes, status: int
) -> None:
    headers = {"content-type": "application/json", **({"content-encoding": "zzz"} if row == "F41" else {})}
    method = "PUT" if row == "F46" else "POST"
    response = httpx.request(method, fronts[path[:3]].url + path, content=body, headers=headers, timeout=60)

    assert response.status_code == status, response.text
    told = json.loads(response.text, parse_constant=pytest.fail)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    if status == 200:
        return
    assert list(told) == ["error"]
    if path.startswith("/v2"):
        assert isinstance(told["error"], str)
    else:
        assert {"message", "type", "param", "code"} == told["error"].keys()
        assert told["error"]["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    assert (status == 405) == ("allow" in response.headers)
    for secret in (CANARY, "Traceback", 'File "'):
        assert secret not in response.text


def test_f40_packed_bodies_are_unpacked(fronts: dict[str, Any]) -> None:
    for path, body in ((INFER, GOOD), (CHAT, said())):
        headers = {"content-encoding": "gzip"}
        response = httpx.post(fronts[path[:3]].url + path, content=gzip.compress(body.encode()), headers=headers)
        assert response.status_code == 200, response.text


def test_a_length_of_the_json_part_that_cannot_be_is_refused(fronts: dict[str, Any]) -> None:
    for length in ("-1", "x", "²", "9" * 5000, str(len(GOOD) + 1), "3"):
        headers = {"inference-header-content-length": length.encode("latin-1")}
        response = httpx.post(fronts["/v2"].url + INFER, content=GOOD, headers=headers)  # type: ignore[arg-type]
        assert (response.status_code, list(response.json())) == (400, ["error"]), length
