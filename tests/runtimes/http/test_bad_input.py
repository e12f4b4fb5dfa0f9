"""What callers get wrong at /invocations, row by row (F01 to F84): what is sent, the code, and the body.

Every refusal is JSON with an error code and a message, carries a request id where the request could be read, and
repeats neither the payload nor a stack trace. The same rows in the other dialects: test_bad_input_dialects.py.

Rows that do not reach a pod, because the PopProxy passes on whole, well-framed requests to endpoints that exist; they
are in tests/routing:

F59, a body that never becomes complete: 408 from the PopProxy, which waits for the whole of it.
F64, a body in 100,000 chunks: the PopProxy sends it on in one piece.
F82, a thousand slow clients: they hold connections of the PopProxy's and none of a pod's.
F84, 50,000 names of endpoints that do not exist: 404 from the PopProxy.
"""

import gzip
import json
import re
import socket
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import eventually

pytestmark = pytest.mark.slow

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROW = [5.1, 3.5, 1.4, 0.2]
JSON = "application/json"
CANARY = "canary-4111"


def split(*rows: Any, columns: Any = COLUMNS) -> str:
    return json.dumps({"dataframe_split": {"columns": columns, "data": list(rows)}})


RECORDS = json.dumps({"dataframe_records": [dict(zip(COLUMNS, ROW, strict=True))]})
CSV = ",".join(COLUMNS) + "\n5.1,3.5,1.4,0.2\n"
GOOD = split(ROW)

BODIES: list[tuple[str, str | bytes, str | None, int, str | None]] = [
    ("F01", RECORDS, JSON, 200, None),
    ("F02", GOOD, JSON, 200, None),
    ("F03", json.dumps({"inputs": {name: [value] for name, value in zip(COLUMNS, ROW, strict=True)}}), JSON, 200, None),
    ("F04", json.dumps({"instances": [dict(zip(COLUMNS, ROW, strict=True))]}), JSON, 200, None),
    ("F05", CSV, "text/csv", 200, None),
    ("F06", GOOD, JSON + "; charset=UTF-8", 200, None),
    ("F07", "", JSON, 400, "BAD_REQUEST"),
    ("F08", f"this is {CANARY} not json", JSON, 400, "BAD_REQUEST"),
    ("F09", GOOD[:-4], JSON, 400, "BAD_REQUEST"),
    ("F10", "[1]", JSON, 400, "BAD_REQUEST"),
    ("F11", "1", JSON, 400, "BAD_REQUEST"),
    ("F12", "null", JSON, 400, "BAD_REQUEST"),
    ("F13", json.dumps({"inputs": [1], "instances": [1]}), JSON, 400, "BAD_REQUEST"),
    ("F14", json.dumps({CANARY: 1}), JSON, 400, "BAD_REQUEST"),
    ("F15", json.dumps({"dataframe_records": {"a": CANARY}}), JSON, 400, "BAD_REQUEST"),
    ("F16", json.dumps({"dataframe_split": [CANARY]}), JSON, 400, "BAD_REQUEST"),
    ("F17", split([CANARY]), JSON, 400, "BAD_REQUEST"),
    ("F18", split([1.0, 2.0, 3.0], columns=COLUMNS[:3]), JSON, 400, "INVALID_PARAMETER_VALUE"),
    ("F19", split([CANARY, 1, 1, 1]), JSON, 400, "BAD_REQUEST"),
    ("F20", GOOD.replace("5.1", "NaN"), JSON, 400, "BAD_REQUEST"),
    ("F21", GOOD.replace("5.1", "Infinity"), JSON, 400, "BAD_REQUEST"),
    ("F22", GOOD.replace("5.1", "1e400"), JSON, 400, "BAD_REQUEST"),
    ("F23", GOOD.replace("5.1", "9" * 5000), JSON, 400, "BAD_REQUEST"),
    ("F24", "[" * 100_000 + "]" * 100_000, JSON, 400, "BAD_REQUEST"),
    ("F25", '{"inputs": 1, ' + GOOD[1:-1] + ', "inputs": 1}', JSON, 400, "BAD_REQUEST"),
    ("F26", json.dumps({"dataframe_records": []}), JSON, 400, "INVALID_PARAMETER_VALUE"),
    ("F27", GOOD.encode().replace(b"5.1", b'"\xff"'), JSON, 400, "BAD_REQUEST"),
    ("F28", GOOD.encode("utf-16"), JSON, 400, "BAD_REQUEST"),
    ("F29", GOOD.replace("5.1", '"\\ud800"'), JSON, 400, "BAD_REQUEST"),
    ("F31", GOOD, "not_a_supported_content_type", 415, "BAD_REQUEST"),
    ("F32", GOOD, None, 415, "BAD_REQUEST"),
    ("F33", GOOD, "", 415, "BAD_REQUEST"),
    ("F34", GOOD, JSON + "; something=something", 415, "BAD_REQUEST"),
    ("F35", GOOD, JSON + "; charset=latin1", 415, "BAD_REQUEST"),
    ("F36", GOOD, "Application/JSON", 200, None),
    ("F37", "", "text/csv", 400, "BAD_REQUEST"),
    ("F38", b"a,b\n\xff,1\n", "text/csv", 400, "BAD_REQUEST"),
    ("F39", b"PAR1" + CANARY.encode(), "application/vnd.apache.parquet", 400, "BAD_REQUEST"),
    ("F44", GOOD[:-1] + ', "params": {"unknown": 1}}', JSON, 200, None),
    ("F74", GOOD[:-1] + ', "__class__": 1, "__proto__": {}}', JSON, 200, None),
    ("F75", b"\x80\x04\x95.", "application/octet-stream", 415, "BAD_REQUEST"),
    ("F80", split([{"x": 1}, 1, 1, 1]), JSON, 400, "BAD_REQUEST"),
]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"), [row[1:] for row in BODIES], ids=[r[0] for r in BODIES]
)
def test_bodies(iris_front: Any, body: str | bytes, content_type: str | None, status: int, code: str | None) -> None:
    response = iris_front.post(body, content_type)

    assert response.status_code == status, response.text
    assert_proper(response, code)


def assert_proper(response: httpx.Response, code: str | None) -> None:
    told = json.loads(response.text, parse_constant=pytest.fail)
    assert response.headers["content-type"] == JSON
    assert response.headers["x-request-id"]
    if code is None:
        assert told == {"predictions": [0]}
        return
    assert told["error_code"] == code
    assert told["message"]
    for secret in (CANARY, "Traceback", "stack_trace", 'File "'):
        assert secret not in response.text


@pytest.mark.parametrize(("body", "content_type"), [(GOOD, JSON), (CSV, "text/csv")])
def test_a_byte_order_mark_before_a_body_is_left_out(iris_front: Any, body: str, content_type: str) -> None:
    assert iris_front.post(b"\xef\xbb\xbf" + body.encode(), content_type).json() == {"predictions": [0]}


def test_f40_f41_content_encodings(iris_front: Any) -> None:
    assert iris_front.post(gzip.compress(GOOD.encode()), **{"content-encoding": "gzip"}).json() == {"predictions": [0]}
    assert iris_front.post(GOOD, **{"content-encoding": "zzz"}).status_code == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "TRACE", "FOO", "PATCH"])
def test_f46_to_f50_other_methods(iris_front: Any, method: str) -> None:
    response = httpx.request(method, iris_front.url + "/invocations")

    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    "path", ["/nothing", "//invocations", "/x/../invocations", "/%2finvocations", "/docs", "/openapi.json"]
)
def test_f51_to_f54_and_f78_f79_other_paths(iris_front: Any, path: str) -> None:
    answer = exchange(iris_front, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 404")
    assert b"RESOURCE_DOES_NOT_EXIST" in answer


def test_f55_a_trailing_slash_is_answered(iris_front: Any) -> None:
    response = httpx.post(iris_front.url + "/invocations/", content=GOOD, headers={"content-type": JSON})

    assert response.json() == {"predictions": [0]}


HEAD = b"POST /invocations HTTP/1.1\r\n"
RAW: list[tuple[str, bytes, tuple[int, ...]]] = [
    ("F56", b"POST /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431)),
    ("F57", HEAD + b"Host: x\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", (431,)),
    ("F58", HEAD + b"Host: x\r\n" + b"A: 1\r\n" * 200 + b"\r\n", (431,)),
    ("F60", HEAD + b"Host: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", (400,)),
    ("F61", HEAD + b"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
    ("F62", HEAD + b"Host: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", (400, 501)),
    ("F63", HEAD + b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n", (400,)),
    ("F66", HEAD + b"Host: x\r\nHost: y\r\nContent-Length: 0\r\n\r\n", (400,)),
    ("F67", HEAD + b"Host : x\r\nContent-Length: 0\r\n\r\n", (400,)),
    ("F68", HEAD.replace(b"\r\n", b"\n") + b"Host: x\nContent-Length: 0\n\n", (400,)),
    ("F69", b"GET /ping\r\n\r\n", (400,)),
    ("F70", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100 + b"\r\n\r\n", (400,)),
    ("F71", HEAD + b"Host: x\r\nContent-Length: -1\r\n\r\n", (400,)),
    ("F71", HEAD + b"Host: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", (400, 413)),
]


@pytest.mark.parametrize(("request_bytes", "statuses"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
def test_malformed_http_is_refused_in_json_and_the_connection_closed(
    iris_front: Any, request_bytes: bytes, statuses: tuple[int, ...]
) -> None:
    answer = exchange(iris_front, request_bytes)

    assert answer[9:12].isdigit(), answer
    assert int(answer[9:12]) in statuses, answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"onnection: close" in head
    assert json.loads(body)["message"]


def test_f65_a_request_without_a_host_is_refused(iris_front: Any) -> None:
    assert exchange(iris_front, HEAD + b"Content-Length: 0\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_f72_a_body_over_16_mib_is_refused(iris_front: Any) -> None:
    body = b'{"inputs": "' + b"x" * (16 * 1024 * 1024) + b'"}'
    length = f"Content-Length: {len(body)}".encode()
    answer = exchange(iris_front, HEAD + b"Host: x\r\nContent-Type: application/json\r\n" + length + b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413")


def test_f72_a_chunked_body_over_16_mib_is_refused(iris_front: Any) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(17):
            yield b"x" * (1024 * 1024)

    try:
        response = httpx.post(iris_front.url + "/invocations", content=chunks(), headers={"content-type": JSON})
    except httpx.WriteError:
        return  # refused and closed while we were still sending

    assert response.status_code == 413


def test_f73_very_many_rows_are_answered(iris_front: Any) -> None:
    rows = 300_000

    assert iris_front.post(split(*[[5, 3, 1, 0]] * rows)).json() == {"predictions": [0] * rows}


def test_f76_a_body_is_asked_for(iris_front: Any) -> None:
    body = GOOD.encode()
    head = HEAD + b"Host: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nConnection: close\r\n"
    with connected(iris_front) as connection:
        connection.sendall(head + f"Content-Length: {len(body)}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert received(connection).startswith(b"HTTP/1.1 200")


def test_f77_a_websocket_is_refused(iris_front: Any) -> None:
    upgrade = b"GET /invocations HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    upgrade += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + b"A" * 22 + b"==\r\n\r\n"

    assert exchange(iris_front, upgrade)[9:12] in (b"403", b"426")


RAISING = """
import time
import numpy as np
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        wish = model_input.iloc[0, 0]
        if wish == "raise":
            raise ValueError("canary-4111 is not a valid customer")
        if wish == "exit":
            raise SystemExit(3)
        if wish == "infinite":
            return np.array([np.nan, np.inf, 1.0])
        if wish == "wait":
            time.sleep(0.01)
        if wish == "object":
            return object()
        return [wish]
"""


@pytest.fixture(scope="module")
def raising_front(start_front: Any, python_model: Callable[..., Path]) -> Iterator[Any]:
    with start_front(python_model(RAISING)) as front:
        yield front


def ask(front: Any, wish: str) -> httpx.Response:
    response: httpx.Response = front.post(json.dumps({"dataframe_split": {"columns": ["wish"], "data": [[wish]]}}))
    return response


@pytest.fixture(scope="module")
def params_front(start_front: Any, python_model: Callable[..., Path]) -> Iterator[Any]:
    from mlflow.models import ModelSignature  # noqa: PLC0415 -- takes seconds to import
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema  # noqa: PLC0415

    params = ParamSchema([ParamSpec("temperature", DataType.double, 1.0)])
    signature = ModelSignature(inputs=Schema([ColSpec(DataType.string, "wish")]), params=params)
    with start_front(python_model(RAISING, signature=signature)) as front:
        yield front


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"temperature": 0.5}, 200, None),
        ({"temperature": CANARY}, 400, "INVALID_PARAMETER_VALUE"),
        ([CANARY], 400, "INVALID_PARAMETER_VALUE"),
        ({"unknown": CANARY}, 200, None),
    ],
    ids=["good", "F42", "F43", "F44"],
)
def test_f42_to_f44_params(params_front: Any, params: Any, status: int, code: str | None) -> None:
    body = {"dataframe_split": {"columns": ["wish"], "data": [["hello"]]}, "params": params}
    response = params_front.post(json.dumps(body))

    assert response.status_code == status, response.text
    assert CANARY not in response.text
    assert response.json().get("error_code") == code


def test_f81_a_small_body_that_becomes_a_large_one_is_refused_without_being_held(
    start_front: Any, iris_model: Path
) -> None:
    packer = zlib.compressobj(1, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    with start_front(iris_model) as front:  # which has held nothing larger before
        [child] = Path(f"/proc/{front.process.pid}/task/{front.process.pid}/children").read_text().split()[:1]
        before = resident(int(child), "VmRSS")
        for _ in range(5):
            assert front.post(bomb, **{"content-encoding": "gzip"}).status_code == 413
        held = resident(int(child), "VmHWM") - before

    assert len(bomb) < 2 << 20
    assert held < 64 << 20


def resident(pid: int, field: str) -> int:
    """Bytes, now (VmRSS) or at most (VmHWM)."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


def test_f83_callers_that_leave_free_their_places(raising_front: Any) -> None:
    body = json.dumps({"dataframe_split": {"columns": ["wish"], "data": [["wait"]]}}).encode()
    head = HEAD + b"Host: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    def leave(_: int) -> None:
        with connected(raising_front) as connection:
            connection.sendall(head + body)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(leave, range(1000)))

    for gauge in ("headrace_requests_executing", "headrace_requests_queued"):
        eventually(lambda gauge=gauge: raising_front.metric(gauge) == 0)  # type: ignore[misc] # mypy cannot infer it
    assert ask(raising_front, "hello").json() == {"predictions": ["hello"]}


def test_f45_a_model_that_raises_keeps_its_words_to_the_log(raising_front: Any) -> None:
    response = ask(raising_front, "raise")

    assert response.status_code == 400
    assert_proper(response, "BAD_REQUEST")
    assert "not a valid customer" in raising_front.log.read_text()


def test_a_model_that_calls_exit_fails_its_own_request_only(raising_front: Any) -> None:
    assert ask(raising_front, "exit").status_code in (400, 500)
    assert ask(raising_front, "hello").json() == {"predictions": ["hello"]}


def test_f20_to_f22_what_json_cannot_say_becomes_null(raising_front: Any) -> None:
    response = ask(raising_front, "infinite")

    assert response.text == '{"predictions": [null, null, 1.0]}'


def test_a_result_that_json_cannot_carry_is_named(raising_front: Any) -> None:
    response = ask(raising_front, "object")

    assert response.status_code == 500
    assert_proper(response, "INTERNAL_ERROR")


def test_f30_a_nul_in_a_text_survives(raising_front: Any) -> None:
    assert ask(raising_front, "a\u0000b").json() == {"predictions": ["a\u0000b"]}


def connected(front: Any) -> socket.socket:
    host, port = front.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=15)


def received(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while data := connection.recv(65536):
            answer += data
            head, end, body = answer.partition(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if end and length and len(body) >= int(length[0].split(b":")[1]):
                break
    except ConnectionResetError:
        pass
    return answer


def exchange(front: Any, request_bytes: bytes) -> bytes:
    """What comes back for raw bytes."""
    with connected(front) as connection:
        connection.sendall(request_bytes)
        return received(connection)


def test_every_row_is_tested_or_said_not_to_reach_a_pod() -> None:
    source = Path(__file__).read_text()
    functions = " ".join(re.findall(r"def test_(\w+)", source))
    tested = {int(row[0][1:]) for row in (*BODIES, *RAW)} | set(map(int, re.findall(r"f(\d\d)", functions)))
    for first, last in re.findall(r"f(\d\d)_to_f(\d\d)", functions):
        tested |= set(range(int(first), int(last) + 1))
    explained = {int(row) for row in re.findall(r"^F(\d\d),", __doc__ or "", re.MULTILINE)}

    assert explained == {59, 64, 82, 84}
    assert set(range(1, 85)) - tested - explained == set()
