"""The application without a server or workers: what it holds and what it lets in."""

import asyncio
import json
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from headrace.runtimes.front.answers import Answer
from headrace.runtimes.front.app import Front
from headrace.runtimes.front.settings import Settings
from headrace.runtimes.protocol.open_inference import InferRequest, Tensor


@pytest.fixture
def front(tmp_path: Path) -> Front:
    settings = Settings(model=tmp_path, python=Path(sys.executable), run_directory=tmp_path, admin_port=0)
    return Front(settings, pipes=[], on_fatal=lambda reason: None)


async def ask(
    front: Front, path: str = "/invocations", body: bytes = b"{}", **changes: Any
) -> tuple[int, Any, dict[bytes, bytes]]:
    headers = [(b"host", b"x"), (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope: MutableMapping[str, Any] = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "headers": headers, "server": ("x", 80),
        **changes,
    }  # fmt: skip
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await front(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"]), dict(sent[0]["headers"])


def test_a_pod_whose_model_loads_says_so_and_that_nothing_was_done(front: Front) -> None:
    status, told, headers = asyncio.run(ask(front))

    assert (status, told["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert headers[b"x-headrace-unprocessed"] == b"1"
    assert headers[b"retry-after"] == b"5"
    assert (front.load.arrived, front.load.refused) == (1, 1)


@pytest.mark.parametrize("path", ["/v2/models/model/infer", "/v1/chat/completions"])
def test_other_protocols_count_what_they_turn_away_too(front: Front, path: str) -> None:
    status, _, headers = asyncio.run(ask(front, path))

    assert (status, headers[b"x-headrace-unprocessed"]) == (503, b"1")
    assert (front.load.arrived, front.load.refused, front.load.answers[503]) == (1, 1, 1)


def test_bodies_are_let_go_with_their_requests(front: Front) -> None:
    asyncio.run(ask(front, body=b'{"a": "' + b"x" * 1000 + b'"}'))

    assert front.held_bytes == 0


def test_bodies_beyond_the_pods_memory_are_refused_before_they_are_read(front: Front) -> None:
    front.held_bytes = front.most_held_bytes - 10
    status, told, _ = asyncio.run(ask(front, body=b"[" * 100))

    assert (status, told["error_code"]) == (429, "RESOURCE_EXHAUSTED")
    assert front.held_bytes == front.most_held_bytes - 10


def test_a_tensor_waits_as_the_bytes_that_are_counted_and_not_as_numbers(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.pool.slots[0].ready = True
    values = [at / 7 for at in range(1000)]
    request = InferRequest(
        identity=None,
        inputs=(Tensor(name="rows", datatype="FP64", shape=(1000,), values=values),),
        outputs=None,
        binary=False,
    )
    waiting: list[tuple[int, int, int]] = []

    async def score(content_type: str, body: bytes, *, timeout_seconds: float | None = None) -> Answer:
        waiting.append((len(body), front.held_bytes, len(values)))
        return Answer(200, b'{"predictions": [1.0]}')

    monkeypatch.setattr(front.dispatcher, "score", score)
    held: dict[str, Any] = {}
    front.hold(held, 8000)
    outputs = asyncio.run(front.inferred(request, held))

    assert not isinstance(outputs, Answer)
    assert outputs[0].values == [1.0]
    [(length, counted, left)] = waiting
    assert length > 16_000  # a double of 8 bytes is some 18 characters of JSON
    assert (counted, left) == (length, 0)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/nothing", {"error_code", "message"}),
        ("/v2/nothing", {"error"}),
        ("/v1/nothing", {"error"}),
    ],
)
def test_each_protocol_is_refused_in_its_own_words(front: Front, path: str, keys: set[str]) -> None:
    status, told, _ = asyncio.run(ask(front, path))

    assert status == 404
    assert set(told) == keys
    assert path != "/v1/nothing" or told["error"]["type"] == "not_found_error"


def test_a_failure_inside_is_a_plain_500(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(front, "_answer", fail)
    status, told, _ = asyncio.run(ask(front))

    assert (status, told["error_code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in told["message"]
