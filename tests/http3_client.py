"""A caller over HTTP/3: one request on a connection of its own, by aioquic."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent, StreamReset

WITHIN_SECONDS = 30.0


@dataclass
class Http3Answer:
    """What came back."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.headers[":status"])

    def json(self) -> Any:
        return json.loads(self.body)


class _Caller(QuicConnectionProtocol):
    """Has one request on its way at a time."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._http = H3Connection(self._quic)
        self._answer, self._done = Http3Answer(), asyncio.get_running_loop().create_future()

    async def ask(self, headers: list[tuple[bytes, bytes]], body: bytes) -> Http3Answer:
        self._answer, self._done = Http3Answer(), asyncio.get_running_loop().create_future()
        stream = self._quic.get_next_available_stream_id()
        self._http.send_headers(stream, headers)
        self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        await asyncio.wait_for(self._done, WITHIN_SECONDS)
        return self._answer

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamReset) and not self._done.done():
            self._done.set_exception(ConnectionResetError(f"the stream was reset, error {event.error_code}"))
        for said in self._http.handle_event(event):
            if isinstance(said, HeadersReceived):
                self._answer.headers |= {name.decode(): value.decode() for name, value in said.headers}
            elif isinstance(said, DataReceived):
                self._answer.body += said.data
            if getattr(said, "stream_ended", False) and not self._done.done():
                self._done.set_result(None)


def ask(
    address: tuple[str, int],
    path: str,
    *,
    ca_file: str,
    host: str,
    token: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    times: int = 1,
) -> list[Http3Answer]:
    """Sends the same request one time after the other on one connection; without a token where there is none."""
    sent = {
        ":method": "POST", ":scheme": "https", ":authority": host, ":path": path, "content-type": "application/json",
        **({"authorization": f"Bearer {token}"} if token else {}), **(headers or {}),
    }  # fmt: skip
    packed = [(name.encode(), value.encode()) for name, value in sent.items()]
    settings = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=True, server_name=host)
    settings.load_verify_locations(cafile=ca_file)

    async def work() -> list[Http3Answer]:
        async with connect(*address, configuration=settings, create_protocol=_Caller) as caller:
            assert isinstance(caller, _Caller)
            return [await caller.ask(packed, body) for _ in range(times)]

    return asyncio.run(work())
