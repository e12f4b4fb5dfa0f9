"""Streamed answers: who waits for whom, and how a stream ends."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from headrace.runtimes.http.front import Front
from headrace.runtimes.protocols.answers import Events
from tests.runtimes.http import in_process
from tests.runtimes.http.in_process import Scene, request, turns


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return in_process.make_front(tmp_path)


def test_a_stream_waits_for_a_caller_that_does_not_read(front: Front) -> None:
    taken: list[int] = []

    async def lines() -> Any:
        for at in range(5):
            taken.append(at)
            yield b"data: %d\n\n" % at

    async def story() -> None:
        scene = Scene(front, at_once=False)
        scene.send(request())
        scene.connection.pause_writing()
        scene.exchanges[0].set_result(Events(lines()))
        await turns()
        assert taken == [0]
        scene.connection.resume_writing()
        await turns()
        assert taken == [0, 1, 2, 3, 4]
        assert scene.answers[0].body.count(b"data: ") == 5

    asyncio.run(story())


def test_a_stream_to_http_1_0_has_no_chunks_and_ends_with_its_connection(front: Front) -> None:
    async def lines() -> Any:
        yield b"data: 1\n\n"

    async def story() -> None:
        scene = Scene(front, at_once=False)
        scene.send(b"POST /invocations HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        scene.exchanges[0].set_result(Events(lines()))
        await turns()
        head, _, body = scene.transport.written.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert body == b"data: 1\n\n"
        assert scene.transport.closed

    asyncio.run(story())


def test_a_caller_that_leaves_a_stream_closes_what_makes_it(front: Front) -> None:
    closed: list[bool] = []

    async def lines() -> Any:
        try:
            while True:
                yield b"data: 1\n\n"
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def story() -> None:
        scene = Scene(front, at_once=False)
        scene.send(request())
        scene.exchanges[0].set_result(Events(lines()))
        await turns()
        scene.connection.connection_lost(None)
        await turns()

    asyncio.run(story())
    assert closed == [True]


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(front: Front) -> None:
    async def lines() -> Any:
        yield b"data: 1\n\n"
        raise RuntimeError("broken")

    async def story() -> None:
        scene = Scene(front, at_once=False)
        scene.send(request())
        scene.exchanges[0].set_result(Events(lines()))
        await turns()
        assert scene.transport.closed
        _, _, body = bytes(scene.transport.written).partition(b"\r\n\r\n")
        assert body == b"9\r\ndata: 1\n\n\r\n"  # and no chunk of length 0, which ends a whole answer

    asyncio.run(story())
