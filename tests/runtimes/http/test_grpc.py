"""The Open Inference Protocol over gRPC: real clients against a real front."""

# ruff: noqa: PLC0415 -- clients are optional and slow to import.
# mypy: disable-error-code="import-untyped"

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from patience import eventually

from headrace.contract import names
from headrace.runtimes.protocols import errors, messages, tensors
from headrace.runtimes.protocols.errors import Dialect
from tests.runtimes.grpc_proxy import grpc_proxy

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
CANARY = "canary-4111"

ECHO = """
import os
import time
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        wish = model_input.iloc[0, 0]
        if wish == "raise":
            raise ValueError("canary-4111")
        if str(wish).startswith("hold"):
            while not os.path.exists(wish.split()[1]):
                time.sleep(0.01)
        return list(model_input.iloc[:, 0])
"""


class Caller:
    """The service as a program without any generated code calls it."""

    def __init__(self, address: str) -> None:
        options = [("grpc.enable_retries", 0), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(address, options=options)

    def __call__(self, method: str, request: Any, **options: Any) -> Any:
        """One call; grpc.RpcError when it is refused."""
        call = self.channel.unary_unary(
            f"/{names.GRPC_SERVICE}/{method}",
            request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
            response_deserializer=messages.CLASSES[f"{method}Response"].FromString,
        )
        return call(request, timeout=options.pop("timeout", 30), **options)


@contextlib.contextmanager
def calling(front: Any) -> Iterator[Caller]:
    with grpc_proxy(front.log.parent, front.port) as address:
        caller = Caller(address)
        with caller.channel:
            yield caller


@pytest.fixture(scope="module")
def address(iris_front: Any) -> Iterator[str]:
    """Where a proxy as the load balancer's takes gRPC for the iris model."""
    with grpc_proxy(iris_front.log.parent, iris_front.port) as found:
        yield found


@pytest.fixture
def call(address: str) -> Iterator[Caller]:
    caller = Caller(address)
    with caller.channel:
        yield caller


@pytest.fixture(scope="module")
def echo_front(start_front: Any, python_model: Callable[..., Path]) -> Iterator[Any]:
    with start_front(python_model(ECHO), HEADRACE_CONCURRENCY="1") as front:
        yield front


def texts(*values: str, **fields: Any) -> Any:
    """A request with one column of texts."""
    message = messages.made("ModelInferRequest", model_name="model", **fields)
    message.inputs.add(name="wish", datatype="BYTES", shape=[len(values)])
    message.raw_input_contents.append(tensors.to_bytes("BYTES", values))
    return message


def matrix(rows: Any = ROWS, **fields: Any) -> Any:
    """A request with all columns in one tensor, in typed contents."""
    message = messages.made("ModelInferRequest", **{"model_name": "model", **fields})
    described = message.inputs.add(name="rows", datatype="FP64", shape=list(rows.shape))
    described.contents.fp64_contents.extend(rows.flatten().tolist())
    return message


@pytest.mark.slow
def test_tritonclient_reads_health_and_metadata(address: str) -> None:
    triton = pytest.importorskip("tritonclient.grpc")
    with triton.InferenceServerClient(address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("model")
        assert client.is_model_ready("model", "v7")
        assert client.get_server_metadata(as_json=True)["name"] == "headrace"
        described = client.get_model_metadata("model", as_json=True)
    assert [column["name"] for column in described["inputs"]] == COLUMNS
    assert {column["datatype"] for column in described["inputs"]} == {"FP64"}
    assert described["versions"] == ["v7"]


@pytest.mark.slow
def test_tritonclient_infers_with_a_matrix_and_with_one_tensor_a_column(address: str) -> None:
    triton = pytest.importorskip("tritonclient.grpc")
    whole = triton.InferInput("rows", list(ROWS.shape), "FP64").set_data_from_numpy(ROWS)
    columns = [
        triton.InferInput(name, [2], "FP64").set_data_from_numpy(ROWS[:, at].copy()) for at, name in enumerate(COLUMNS)
    ]
    with triton.InferenceServerClient(address) as client:
        for inputs in ([whole], columns):
            outputs = [triton.InferRequestedOutput("predictions")]
            result = client.infer("model", inputs, outputs=outputs, request_id="7", model_version="v7")
            assert result.as_numpy("predictions").tolist() == [0, 2]
            assert result.as_numpy("predictions").dtype == np.int64
            told = result.get_response()
            assert (told.id, told.model_name, told.model_version) == ("7", "model", "v7")


@pytest.mark.slow
def test_tritonclient_reads_refusals(address: str) -> None:
    triton = pytest.importorskip("tritonclient.grpc")
    from tritonclient.utils import InferenceServerException

    narrow = triton.InferInput("rows", [1, 3], "FP64").set_data_from_numpy(ROWS[:1, :3].copy())
    with triton.InferenceServerClient(address) as client:
        with pytest.raises(InferenceServerException, match="3 columns, the model has 4") as caught:
            client.infer("model", [narrow])
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
        with pytest.raises(InferenceServerException, match="no model of this name") as caught:
            client.infer("other", [narrow])
        assert caught.value.status() == "StatusCode.NOT_FOUND"


@pytest.mark.slow
def test_typed_contents_are_answered_in_typed_contents(call: Caller) -> None:
    answer = call("ModelInfer", matrix(id="a"))

    assert list(answer.outputs[0].contents.int64_contents) == [0, 2]
    assert (answer.id, answer.outputs[0].name, list(answer.outputs[0].shape)) == ("a", "predictions", [2])
    assert not answer.raw_output_contents


@pytest.mark.slow
def test_an_answer_says_which_version_and_which_request_it_belongs_to(call: Caller) -> None:
    method = call.channel.unary_unary(f"/{names.GRPC_SERVICE}/ModelInfer")
    _, done = method.with_call(matrix().SerializeToString(), metadata=[("x-request-id", "id-1")], timeout=30)
    metadata = dict(done.initial_metadata())

    assert metadata["x-request-id"] == "id-1"
    assert metadata["served-model-name"] == "v7"


def named(name: str) -> Any:
    message = messages.made("ModelInferRequest", model_name="model", outputs=[{"name": name}])
    message.inputs.extend(matrix().inputs)
    return message


def columns_of(**changed: Any) -> Any:
    message = messages.made("ModelInferRequest", model_name="model")
    for at, name in enumerate(COLUMNS):
        given: dict[str, Any] = {"datatype": "FP64", "values": [float(ROWS[0, at])], **changed.get(name, {})}
        described = message.inputs.add(name=given.get("name", name), datatype=given["datatype"], shape=[1])
        getattr(described.contents, "bytes_contents" if given["datatype"] == "BYTES" else "fp64_contents").extend(
            given["values"]
        )
    return message


TEXT = {"datatype": "BYTES", "values": [CANARY.encode()]}
REFUSED = [
    ("not protobuf", "ModelInfer", b"\xff\xff" + CANARY.encode(), "INVALID_ARGUMENT"),
    ("invalid UTF-8", "ModelInfer", b"\x0a\x01\xff", "INVALID_ARGUMENT"),
    ("empty", "ModelInfer", b"", "NOT_FOUND"),
    ("no inputs", "ModelInfer", messages.made("ModelInferRequest", model_name="model"), "INVALID_ARGUMENT"),
    ("other model", "ModelInfer", matrix(model_name=CANARY), "NOT_FOUND"),
    ("other version", "ModelInfer", matrix(model_version=CANARY), "NOT_FOUND"),
    ("narrow", "ModelInfer", matrix(ROWS[:, :3]), "INVALID_ARGUMENT"),
    ("infinite", "ModelInfer", matrix(ROWS * np.inf), "INVALID_ARGUMENT"),
    ("other output", "ModelInfer", named(CANARY), "INVALID_ARGUMENT"),
    ("text", "ModelInfer", columns_of(**{COLUMNS[0]: TEXT}), "INVALID_ARGUMENT"),
    ("other column", "ModelInfer", columns_of(**{COLUMNS[1]: {"name": CANARY}}), "INVALID_ARGUMENT"),
    ("metadata of another", "ModelMetadata", messages.made("ModelMetadataRequest", name=CANARY), "NOT_FOUND"),
    ("readiness of another", "ModelReady", messages.made("ModelReadyRequest", name=CANARY), "NOT_FOUND"),
    ("readiness of no message", "ModelReady", b"\xff" + CANARY.encode(), "INVALID_ARGUMENT"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("method", "request_", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_refusal_has_its_code_and_a_sentence_and_nothing_of_the_request(
    call: Caller, method: str, request_: Any, code: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(method, request_)

    assert caught.value.code().name == code, caught.value
    assert caught.value.details()
    assert CANARY not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert dict(caught.value.trailing_metadata())["x-request-id"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ModelStreamInfer", "RepositoryIndex", "SystemSharedMemoryRegister"])
def test_what_is_not_offered_is_unimplemented(call: Caller, method: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call.channel.unary_unary(f"/{names.GRPC_SERVICE}/{method}")(b"", timeout=30)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.slow
def test_messages_beyond_16_mib_are_refused(call: Caller) -> None:
    big = messages.made("ModelInferRequest", model_name="model", raw_input_contents=[bytes(16 * 1024 * 1024)])
    with pytest.raises(grpc.RpcError) as caught:
        call("ModelInfer", big)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.slow
def test_a_compressed_message_is_taken_and_one_that_becomes_too_large_is_not(call: Caller) -> None:
    bomb = messages.made("ModelInferRequest", model_name="model", raw_input_contents=[bytes(64 << 20)])
    with pytest.raises(grpc.RpcError) as caught:
        call("ModelInfer", bomb, compression=grpc.Compression.Gzip)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    answer = call("ModelInfer", matrix(), compression=grpc.Compression.Gzip)
    assert list(answer.outputs[0].contents.int64_contents) == [0, 2]


@pytest.mark.slow
def test_a_model_that_raises_keeps_its_words_to_the_log(echo_front: Any) -> None:
    with calling(echo_front) as call, pytest.raises(grpc.RpcError) as caught:
        call("ModelInfer", texts("raise"))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert CANARY not in str(caught.value)


@pytest.mark.slow
def test_texts_come_back_raw(echo_front: Any) -> None:
    with calling(echo_front) as call:
        answer = call("ModelInfer", texts("é", ""))

    assert tensors.from_bytes("BYTES", 2, answer.raw_output_contents[0], "x") == ["é", ""]


@pytest.mark.slow
def test_a_callers_deadline_ends_its_call_and_frees_its_place(echo_front: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with calling(echo_front) as call, ThreadPoolExecutor(1) as pool:
        running = pool.submit(call, "ModelInfer", texts(f"hold {gate}"))
        eventually(lambda: echo_front.metric("headrace_requests_executing") == 1)
        with pytest.raises(grpc.RpcError) as caught:
            call("ModelInfer", texts("late"), timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        eventually(lambda: echo_front.metric("headrace_requests_queued") == 0)
        gate.touch()
        assert running.result()


@pytest.mark.slow
def test_requests_over_the_time_limit_are_deadline_exceeded(
    start_front: Any, python_model: Callable[..., Path], tmp_path: Path
) -> None:
    with (
        start_front(python_model(ECHO), HEADRACE_TIMEOUT_SECONDS="0.5") as front,
        calling(front) as call,
        pytest.raises(grpc.RpcError) as caught,
    ):
        call("ModelInfer", texts(f"hold {tmp_path / 'never'}"))

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "time limit" in str(caught.value.details())


@pytest.mark.slow
def test_grpc_and_http_share_one_queue_and_one_limit(
    start_front: Any, python_model: Callable[..., Path], tmp_path: Path
) -> None:
    """One executes; of the others, as many wait as the queue has room for, and the next is refused at once."""
    gate = tmp_path / "gate"
    with (
        start_front(python_model(ECHO), HEADRACE_CONCURRENCY="1") as front,
        calling(front) as call,
        ThreadPoolExecutor(80) as pool,
    ):
        first = pool.submit(call, "ModelInfer", texts(f"hold {gate}"))
        eventually(lambda: front.metric("headrace_requests_executing") == 1)
        body = '{"dataframe_split": {"columns": ["wish"], "data": [["x"]]}}'
        waiting = [pool.submit(front.post, body) for _ in range(32)]
        waiting += [pool.submit(call, "ModelInfer", texts("y")) for _ in range(32)]
        eventually(lambda: front.metric("headrace_requests_queued") == 64)
        with pytest.raises(grpc.RpcError) as caught:
            call("ModelInfer", texts("one too many"))
        refused = front.post(body)
        gate.touch()
        assert first.result()
        done = [one.result() for one in waiting]
    trailing = dict(caught.value.trailing_metadata())

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.status_code == 429
    assert trailing["retry-after"] == refused.headers["retry-after"]
    assert int(trailing["grpc-retry-pushback-ms"]) == 1000 * int(trailing["retry-after"])
    assert trailing["x-headrace-unprocessed"] == "1"
    assert all(not isinstance(one, httpx.Response) or one.status_code == 200 for one in done)


@pytest.mark.slow
def test_a_pod_that_leaves_finishes_what_runs_and_says_that_it_is_not_ready(
    start_front: Any, python_model: Callable[..., Path], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with start_front(python_model(ECHO), HEADRACE_GRACE_SECONDS="40") as front, calling(front) as call:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(call, "ModelInfer", texts(f"hold {gate}"))
            eventually(lambda: front.metric("headrace_requests_executing") == 1)
            front.process.send_signal(signal.SIGTERM)
            eventually(lambda: not call("ServerReady", messages.made("ServerReadyRequest")).ready)
            assert call("ServerLive", messages.made("ServerLiveRequest")).live
            gate.touch()
            assert tensors.from_bytes("BYTES", 1, running.result().raw_output_contents[0], "x") == [f"hold {gate}"]
        assert front.process.wait(45) == 0


@pytest.mark.slow
def test_requests_of_both_protocols_are_merged_and_one_bad_row_fails_alone(iris_front: Any, call: Caller) -> None:
    begin = threading.Barrier(24)
    bad = columns_of(**{COLUMNS[0]: TEXT})

    def ask(at: int) -> str:
        begin.wait(30)
        try:
            return str(list(call("ModelInfer", bad if at % 6 == 0 else matrix()).outputs[0].contents.int64_contents))
        except grpc.RpcError as error:
            return str(error.code().name)

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(24)))

    assert answers == ["INVALID_ARGUMENT" if at % 6 == 0 else "[0, 2]" for at in range(24)]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (404, "NOT_FOUND"),
        (413, "RESOURCE_EXHAUSTED"),
        (415, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (501, "UNIMPLEMENTED"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ],
)
def test_each_status_has_its_code(status: int, code: str) -> None:
    failure = replace(errors.of_status(status, "A sentence – 100 %."), retry_after_seconds=3)
    answer = errors.worded(failure, Dialect.GRPC)
    headers = dict(answer.headers)

    assert (answer.status, answer.body, answer.trailers) == (200, b"", ())
    assert headers[b"grpc-status"] == str(grpc.StatusCode[code].value[0]).encode()
    assert headers[b"grpc-message"] == b"A sentence %E2%80%93 100 %25."
    assert (headers[b"retry-after"], headers[b"x-headrace-unprocessed"]) == (b"3", b"1")
    assert headers[b"grpc-retry-pushback-ms"] == b"3000"
