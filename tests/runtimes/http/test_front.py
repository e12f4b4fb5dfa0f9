"""The front without a server or workers: what it holds, what it lets in, and what is kept of it."""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from headrace.contract.runtime import EnginePlan, Protocol
from headrace.runtimes.calls import Batch, Outcome
from headrace.runtimes.http.exchange import Exchange, Record
from headrace.runtimes.http.front import Front
from headrace.runtimes.protocols import grpc, messages
from headrace.runtimes.protocols.answers import Answer, Events
from headrace.runtimes.protocols.errors import Failure, Reason
from tests.runtimes.http import in_process
from tests.runtimes.http.in_process import answers_in, ask, connect, request, turns

DESCRIBED = {
    "mlflow_version": "3.1", "streams": True, "signature": None, "task": "llm/v1/chat", "loader": "", "flavors": [],
}  # fmt: skip
GRPC_INFER = "/inference.GRPCInferenceService/ModelInfer"


class Worker:
    """Answers every batch with what the test says."""

    def __init__(self, front: Front, outcome: Callable[[Any], Outcome], *, merges: bool = False) -> None:
        self.ready = self.leaving = False
        self.merges = merges
        self.front, self.outcome = front, outcome
        self.works: list[Any] = []
        self.pieces: list[bytes] = []

    def width(self) -> int:
        return 100

    def free(self) -> int:
        return 100

    def take(self, batch: Batch) -> None:
        self.works += [call.work for call in batch.calls]
        for call in batch.calls:
            for piece in self.pieces if call.pieces is not None else ():
                assert call.pieces is not None
                call.pieces.put_nowait(piece)
        outcomes = [self.outcome(call.work) for call in batch.calls]
        asyncio.get_running_loop().call_soon(self.front.dispatcher.finished, batch, outcomes, None)

    def cancel(self, batch: Batch) -> None:
        pass


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return in_process.make_front(tmp_path, version="v7")


def serve(
    front: Front, outcome: Callable[[Any], Outcome] = lambda work: Answer(200, b'{"predictions": [1.0]}')
) -> Worker:
    """Has a worker that is ready; gRPC, too."""
    from headrace.runtimes.http.grpc_routes import GrpcRoutes  # noqa: PLC0415 -- as a pod does when it starts

    worker = Worker(front, outcome)
    worker.ready = True
    backend: Any = front.backend
    backend.workers = front.dispatcher.workers = [worker]
    backend.description = DESCRIBED
    front._router.add(GrpcRoutes(front.served, front.inference).routes())
    return worker


def test_a_pod_whose_model_loads_says_so_and_that_nothing_was_done(front: Front) -> None:
    answer = asyncio.run(ask(front))

    assert (answer.status, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert answer.headers["x-headrace-unprocessed"] == "1"
    assert answer.headers["retry-after"] == "5"
    assert (front.metrics.arrived, front.metrics.refused) == (1, 1)


@pytest.mark.parametrize("path", ["/v2/models/model/infer", "/v1/chat/completions"])
def test_other_protocols_count_what_they_turn_away_too(front: Front, path: str) -> None:
    answer = asyncio.run(ask(front, path))

    assert (answer.status, answer.headers["x-headrace-unprocessed"]) == (503, "1")
    assert (front.metrics.arrived, front.metrics.refused, front.metrics.answers[503]) == (1, 1, 1)


@pytest.mark.parametrize("path", ["/invocations", "/v2/models/model/infer", "/nothing"])
def test_bodies_are_let_go_with_their_requests(front: Front, path: str) -> None:
    asyncio.run(ask(front, path, b'{"a": "' + b"x" * 1000 + b'"}'))

    assert front.memory.held_bytes == 0


def engine_front(directory: Path) -> Front:
    plan = EnginePlan(name="own", command=("none",), protocol=Protocol.OPENAI, health="/health")
    return in_process.make_front(directory, engine=plan)


@pytest.mark.parametrize("kind", ["workers", "an engine"])
def test_bodies_beyond_the_pods_memory_are_refused_whatever_serves_the_model(tmp_path: Path, kind: str) -> None:
    front = engine_front(tmp_path) if kind == "an engine" else in_process.make_front(tmp_path)
    front.memory.held_bytes = front.memory.most_bytes - 10
    answer = asyncio.run(ask(front, body=b"[" * 100))

    assert (answer.status, answer.json()["error_code"]) == (429, "RESOURCE_EXHAUSTED")
    assert front.memory.held_bytes == front.memory.most_bytes - 10


def test_a_large_body_without_room_is_refused_before_it_is_read(front: Front) -> None:
    front.memory.held_bytes = front.memory.most_bytes - 10
    connection, transport = connect(front)
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    async def story() -> None:
        connection.data_received(head % 1_000_000)

    asyncio.run(story())
    [answer] = answers_in(transport.written)
    assert (answer.status, answer.headers["connection"]) == (429, "close")


def test_a_tensor_waits_as_the_bytes_that_are_counted_and_not_as_numbers(front: Front) -> None:
    held: list[tuple[int, int]] = []

    def outcome(work: Any) -> Outcome:
        held.append((len(work.body), front.memory.held_bytes))
        return Answer(200, b'{"predictions": [1.0]}')

    serve(front, outcome)
    tensor = {"name": "rows", "datatype": "FP64", "shape": [1000], "data": [at / 7 for at in range(1000)]}
    answer = asyncio.run(ask(front, "/v2/models/model/infer", orjson.dumps({"inputs": [tensor]})))

    assert answer.json()["outputs"][0]["data"] == [1.0]
    [(length, counted)] = held
    assert counted == length
    assert front.memory.held_bytes == 0


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/nothing", {"error_code", "message"}),
        ("/v2/nothing", {"error"}),
        ("/v1/nothing", {"error"}),
    ],
)
def test_each_protocol_is_refused_in_its_own_words(front: Front, path: str, keys: set[str]) -> None:
    answer = asyncio.run(ask(front, path))

    assert answer.status == 404
    assert set(answer.json()) == keys
    assert path != "/v1/nothing" or answer.json()["error"]["type"] == "not_found_error"


def test_a_failure_inside_is_a_plain_500(front: Front) -> None:
    def fail(work: Any) -> Outcome:
        raise RuntimeError("secret")

    worker = serve(front)
    worker.take = fail  # type: ignore[assignment, method-assign] # any failure will do
    worker.merges = False
    front.dispatcher.batch_size.divides = lambda size: True  # type: ignore[method-assign] # at once
    answer = asyncio.run(ask(front))

    assert (answer.status, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer.json()["message"]


def grpc_request() -> bytes:
    message = messages.made("ModelInferRequest", model_name="model")
    described = message.inputs.add(name="rows", datatype="FP64", shape=[1])
    described.contents.fp64_contents.append(1.5)
    data: bytes = message.SerializeToString()
    return grpc.PREFIX.pack(0, len(data)) + data


BINARY_HEAD = orjson.dumps(
    {
        "inputs": [{"name": "rows", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}],
        "outputs": [{"name": "predictions", "parameters": {"binary_data": True}}],
    }
)
CHAT = {"messages": [{"role": "user", "content": "hello"}]}
ASKED: dict[str, tuple[str, bytes, tuple[bytes, ...], int]] = {
    "scoring": ("/invocations", b'{"inputs": [1.5]}', (), 200),
    "Open Inference, JSON": (
        "/v2/models/model/infer",
        b'{"inputs": [{"name": "rows", "datatype": "FP64", "shape": [1], "data": [1.5]}]}',
        (),
        200,
    ),
    "Open Inference, binary": (
        "/v2/models/model/infer",
        BINARY_HEAD + bytes(8),
        (b"Inference-Header-Content-Length: %d" % len(BINARY_HEAD),),
        200,
    ),
    "OpenAI": ("/v1/chat/completions", orjson.dumps(CHAT), (), 200),
    "a stream": ("/v1/chat/completions", orjson.dumps({**CHAT, "stream": True}), (), 200),
    "gRPC": (GRPC_INFER, grpc_request(), (b"Content-Type: application/grpc",), 200),
    "a refusal": ("/invocations", b"{", (), 400),
    "a refusal over gRPC": (GRPC_INFER, b"\0\0\0\0\1x", (b"Content-Type: application/grpc",), 400),
}


@pytest.mark.parametrize("kind", ASKED)
def test_one_record_is_taken_of_every_exchange_whatever_its_protocol(front: Front, kind: str) -> None:
    path, body, headers, status = ASKED[kind]
    records: list[Record] = []
    front.on_record, front.keeps_answers = records.append, True
    worker = serve(front)
    worker.pieces = [b'{"a": 1}', b'{"a": 2}']
    caller = (*headers, b"x-headrace-subject: alice", b"x-request-id: id-1")
    answer = asyncio.run(ask(front, path, body, headers=caller))

    [record] = records
    assert (record.path, record.body, record.identity, record.version) == (path, body, "id-1", "v7")
    assert dict(record.headers)[b"x-headrace-subject"] == b"alice"
    assert (record.status, record.answer) == (status, answer.body)
    assert answer.status == (200 if "gRPC" in kind else status)
    assert 0 <= record.seconds < 60
    assert kind != "a stream" or record.answer.count(b"data: ") == 3


def test_a_record_is_taken_of_what_an_engine_answers_and_streams(tmp_path: Path) -> None:
    async def lines() -> Any:
        yield b"data: 1\n\n"
        yield b"data: [DONE]\n\n"

    records: list[Record] = []
    front = engine_front(tmp_path)
    front.on_record, front.keeps_answers = records.append, True
    outcomes: list[Outcome] = [Answer(200, b'{"choices": []}'), Events(lines()), Failure(Reason.INTERNAL, "It failed.")]
    worker = Worker(front, lambda work: outcomes.pop(0))
    engine: Any = front.backend
    engine.supervisor.ready = True
    front.dispatcher.workers = [worker]  # type: ignore[list-item] # what the queue needs of it
    answers = [asyncio.run(ask(front, "/v1/completions", b'{"prompt": "x"}')) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 500]
    assert [(record.status, record.answer) for record in records] == [
        (answer.status, answer.body) for answer in answers
    ]


def test_a_caller_that_leaves_is_recorded_without_an_answer(front: Front) -> None:
    records: list[Record] = []
    front.on_record = records.append
    worker = serve(front)
    worker.take = lambda batch: None  # type: ignore[method-assign] # never answered

    async def story() -> None:
        connection, _ = connect(front)
        connection.data_received(request(body=b'{"inputs": [1]}'))
        await turns()
        connection.connection_lost(None)

    asyncio.run(story())
    assert [(record.status, record.answer) for record in records] == [(499, b"")]
    assert front.memory.held_bytes == 0


def test_a_record_that_cannot_be_kept_costs_no_answer(front: Front) -> None:
    def lose(record: Record) -> None:
        raise OSError("disk full")

    front.on_record = lose
    serve(front)

    assert asyncio.run(ask(front, body=b'{"inputs": [1.5]}')).json() == {"predictions": [1.0]}


def test_what_was_answered_is_freed_at_once_and_not_by_a_collection_of_garbage(front: Front) -> None:
    """Collections cost a busy pod latency, and memory that is used again at once is in the processor's cache."""
    serve(front)

    async def story() -> None:
        connection, transport = connect(front)
        for path, body in (("/invocations", b'{"inputs": [1.5]}'), ("/invocations", b"{")):
            connection.data_received(request(path, body))
            await turns()
        assert len(answers_in(transport.written)) == 2
        assert [one for one in gc.get_objects() if type(one) is Exchange] == []

    gc.collect()
    gc.disable()
    try:
        asyncio.run(story())
    finally:
        gc.enable()
