"""HTTP to an engine that answers as the test says."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from headrace.runtimes.engines.client import Client, EngineLost

OK = b"HTTP/1.1 200 OK\r\n"


class Engine:
    """Writes one of its answers for each request."""

    def __init__(self, *answers: list[bytes]) -> None:
        self.answers = list(answers)
        self.connections = self.requests = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
                await reader.readexactly(length)
                self.requests += 1
                for part in self.answers.pop(0):
                    if part == b"close":
                        return
                    if part == b"wait":
                        await reader.read()  # until the client hangs up
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.005)
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()


def with_engine(engine: Engine, story: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        server = await asyncio.start_server(engine._serve, "127.0.0.1", 0)
        client = Client(server.sockets[0].getsockname()[1])
        try:
            return await asyncio.wait_for(story(client), 20)
        finally:
            client.close()
            server.close()

    return asyncio.run(run())


async def body_of(client: Client) -> bytes:
    response = await client.request("POST", "/x", body=b"abc")
    try:
        return await response.body()
    finally:
        response.close()


@pytest.mark.parametrize(
    "answer",
    [
        [OK + b"content-length: 5\r\n\r\nhello"],
        [OK + b"content-", b"length: 5\r\n\r\nhe", b"llo"],
        [OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nh", b"e\r\n3;a=b\r\nllo\r\n0\r\nTrailer: x\r\n", b"\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 5\r\n\r\nhello"],
    ],
    ids=["a length", "in pieces", "chunks", "chunks in pieces, with a trailer", "after 100"],
)
def test_an_answer_is_read_whole_and_its_connection_kept(answer: list[bytes]) -> None:
    engine = Engine(answer, answer)

    async def story(client: Client) -> list[bytes]:
        return [await body_of(client), await body_of(client)]

    assert with_engine(engine, story) == [b"hello", b"hello"]
    assert engine.connections == 1


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    assert with_engine(Engine([OK + b"\r\nhel", b"lo", b"close"]), body_of) == b"hello"


def test_an_engine_that_asks_to_close_is_dialled_again() -> None:
    answer = [OK + b"connection: close\r\ncontent-length: 1\r\n\r\na"]
    engine = Engine(answer, answer)

    async def story(client: Client) -> list[bytes]:
        return [await body_of(client), await body_of(client)]

    assert with_engine(engine, story) == [b"a", b"a"]
    assert engine.connections == 2


def test_a_kept_connection_that_the_engine_has_closed_meanwhile_costs_nothing() -> None:
    engine = Engine([OK + b"content-length: 1\r\n\r\na", b"close"], [OK + b"content-length: 1\r\n\r\nb"])

    async def story(client: Client) -> list[bytes]:
        first = await body_of(client)
        await asyncio.sleep(0.05)
        return [first, await body_of(client)]

    assert with_engine(engine, story) == [b"a", b"b"]


def test_a_request_that_an_engine_took_before_it_died_is_not_sent_again() -> None:
    """It may have begun: on a kept connection nobody can tell."""
    answer = [OK + b"content-length: 1\r\n\r\na"]
    engine = Engine(answer, [b"close"], answer)

    async def story(client: Client) -> None:
        await body_of(client)
        with pytest.raises(EngineLost):
            await body_of(client)

    with_engine(engine, story)
    assert engine.requests == 2


@pytest.mark.parametrize(
    "answer",
    [
        [b"close"],
        [OK + b"content-length: 5\r\n\r\nhe", b"close"],
        [OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhe", b"close"],
        [OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n"],
        [OK + b"content-length: 1\r\n" + b"a: b\r\n" * 60_000],
        [b"nonsense\r\n\r\n"],
    ],
    ids=["at once", "within a body", "within a chunk", "no chunk", "a head without an end", "no HTTP"],
)
def test_an_answer_that_is_none_or_breaks_off_is_lost(answer: list[bytes]) -> None:
    async def story(client: Client) -> None:
        with pytest.raises(EngineLost):
            await body_of(client)

    with_engine(Engine(answer), story)


def test_chunks_of_a_stream_come_whole_one_by_one() -> None:
    engine = Engine([OK + b"transfer-encoding: chunked\r\n\r\n3\r\nab", b"c\r\n", b"2\r\nde\r\n0\r\n\r\n"])

    async def story(client: Client) -> list[bytes]:
        response = await client.request("GET", "/x")
        return [piece async for piece in response.pieces()]

    assert with_engine(engine, story) == [b"abc", b"de"]


def test_a_request_that_takes_too_long_is_given_up() -> None:
    async def story(client: Client) -> None:
        with pytest.raises(TimeoutError):
            await client.request("GET", "/x", seconds=0.05)

    with_engine(Engine([OK + b"content-", b"wait"]), story)


def test_an_engine_that_does_not_listen_is_lost() -> None:
    async def story() -> None:
        with pytest.raises(EngineLost):
            await Client(1).request("GET", "/x")

    asyncio.run(story())
