"""A front without a server: bytes go into a connection whose transport keeps what it would send."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.runtimes.http.connection import Connection
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.front import Front
from headrace.runtimes.pod.settings import Settings
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Failure


def make_front(directory: Path, **changed: Any) -> Front:
    """A front that has started nothing."""
    pipes: Any = [(None, None)]
    return Front(settings(directory, **changed), pipes=pipes, on_fatal=lambda reason: None)


def settings(directory: Path, **changed: Any) -> Settings:
    """Settings for a model that is never loaded."""
    chosen = {"model": directory, "python": Path(sys.executable), "run_directory": directory, **changed}
    return Settings(**chosen)


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str]

    def json(self) -> Any:
        """The body's document."""
        return json.loads(self.body)


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.paused = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def connect(front: Front, *, admin: bool = False) -> tuple[Connection, Transport]:
    """A connection to the serving or the admin port."""
    connection = Connection(front, front.administer if admin else front.handle, allowed=front.allowed)
    transport = Transport()
    connection.connection_made(transport)
    return connection, transport


def answers_in(data: bytes) -> list[Answered]:
    """The whole answers in what a transport kept."""
    found = []
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        trailers: dict[str, str] = {}
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size, _, rest = rest.partition(b"\r\n")
                if int(size, 16) == 0:
                    break
                body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
            while not rest.startswith(b"\r\n"):
                line, _, rest = rest.partition(b"\r\n")
                name, _, value = line.decode().partition(": ")
                trailers[name] = value
            rest = rest[2:]
        else:
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                break
            body, rest = rest[:length], rest[length:]
        found.append(Answered(int(first.split()[1]), headers, body, trailers))
        data = rest
    return found


def request(
    path: str = "/invocations", body: bytes = b"", *, method: str = "POST", headers: tuple[bytes, ...] = ()
) -> bytes:
    """A request as clients write it in one piece."""
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: x", b"Content-Length: %d" % len(body), *headers]
    if not any(line.lower().startswith(b"content-type") for line in headers):
        lines.append(b"Content-Type: application/json")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def turns(count: int = 20) -> None:
    """Lets what is due happen."""
    for _ in range(count):
        await asyncio.sleep(0)


async def ask(front: Front, path: str = "/invocations", body: bytes = b"{}", **options: Any) -> Answered:
    """The answer to one request on a connection of its own."""
    admin = options.pop("admin", False)
    connection, transport = connect(front, admin=admin)
    connection.data_received(request(path, body, **options))
    while not (found := answers_in(transport.written)):  # noqa: ASYNC110 -- a transport tells nobody what it is given
        await asyncio.sleep(0.001)
    connection.connection_lost(None)
    return found[0]


class Scene:
    """A connection to a handler that keeps exchanges, or answers each at once with what it was asked."""

    def __init__(self, front: Front, *, at_once: bool = True) -> None:
        self.front = front
        self.exchanges: list[Exchange] = []
        self.at_once = at_once
        self.connection = Connection(front, self._handle, allowed={"/invocations": "POST"}.get)
        self.transport = Transport()
        self.connection.connection_made(self.transport)

    def _handle(self, exchange: Exchange, refused: Failure | None) -> None:
        self.exchanges.append(exchange)
        if refused is not None:
            exchange.set_result(refused)
        elif self.at_once:
            exchange.set_result(Answer(200, exchange.body))

    def send(self, *parts: bytes) -> "Scene":
        for part in parts:
            self.connection.data_received(part)
        return self

    @property
    def answers(self) -> list[Answered]:
        return answers_in(self.transport.written)

    @property
    def bodies(self) -> list[bytes]:
        """Bodies of the requests that came to be handled."""
        return [exchange.body for exchange in self.exchanges]


def played(play: Callable[[], Any]) -> Any:
    """Runs a story on an event loop."""

    async def run() -> Any:
        return play()

    return asyncio.run(run())
