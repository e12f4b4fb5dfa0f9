"""The serving process: listens, keeps the time of its connections, and ends without losing a request.

SIGTERM takes the pod out of rotation first: it is not ready from then on and serves for ROTATION_SECONDS while routing
catches up. Then no connection begins any more, those that have begun are taken over (closing a listener would reset
them), the listeners close, idle connections are closed, and what has begun is finished within the grace.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from email.utils import formatdate

from headrace.runtimes.http.connection import Connection
from headrace.runtimes.http.front import Front
from headrace.runtimes.http.listener import BACKLOG, HANDSHAKE_SECONDS, stop_handshakes
from headrace.runtimes.http.parent import Guard, Heartbeat
from headrace.runtimes.pod import processes
from headrace.runtimes.pod.settings import ROTATION_SECONDS

log = logging.getLogger("headrace.front")

GARBAGE_OBJECTS = 20_000
"""New containers between two collections: a table of a thousand rows is a thousand lists, and none of them garbage."""
_STOP_SECONDS = 2.0
"""Of the grace, left for the backend to leave."""


class Server:
    """Listeners and connections around one front."""

    def __init__(self, front: Front, listeners: Sequence[socket.socket]) -> None:
        """`listeners`: the serving port's and, where there is one, the admin port's."""
        self._front = front
        self._listeners = listeners
        self._servers: list[asyncio.Server] = []
        self._ended = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        self._guard = Guard()

    def _serving(self) -> Connection:
        return Connection(self._front, self._front.handle, allowed=self._front.allowed)

    def _administering(self) -> Connection:
        return Connection(self._front, self._front.administer)

    async def run(self, heartbeat: "Heartbeat | None" = None) -> None:
        """Serves until SIGTERM and through the drain that follows."""
        loop, front = asyncio.get_running_loop(), self._front
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain_soon)
        await front.start()
        gc.freeze()  # collections need not walk what was imported
        gc.set_threshold(GARBAGE_OBJECTS)
        ticking = asyncio.create_task(self._tick(heartbeat))
        try:
            for listener, made in zip(self._listeners, (self._serving, self._administering), strict=False):
                self._servers.append(await loop.create_server(made, sock=listener.dup(), backlog=BACKLOG))
                listener.close()
            await self._ended.wait()
        finally:
            await front.stop()
            ticking.cancel()

    async def _tick(self, heartbeat: "Heartbeat | None") -> None:
        """Once a second: the date, silent connections, and a sign of life to the parent."""
        front = self._front
        while True:
            front.date_line = f"date: {formatdate(usegmt=True)}\r\n".encode()
            for connection in list(front.connections):
                connection.sweep()
            if heartbeat is not None:
                if not heartbeat.beat():
                    self._drain_soon()  # the parent is gone
                self._guard.look(processes.sample(os.getppid()))
                front.served.unguarded = self._guard.stopped
            await asyncio.sleep(1.0)
            front.now += 1

    def _drain_soon(self) -> None:
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        front = self._front
        grace = front.settings.grace_seconds
        rotation = min(ROTATION_SECONDS, grace / 4)
        front.drain()
        log.info("draining: serving on for %.1f s, then finishing what is in flight", rotation)
        await asyncio.sleep(rotation)
        await self._close_listeners()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, grace - rotation - _STOP_SECONDS)):
                while front.connections:
                    for connection in list(front.connections):
                        connection.close_if_idle()
                    await asyncio.sleep(0.05)
        for connection in list(front.connections):
            connection.abort()
        self._ended.set()

    async def _close_listeners(self) -> None:
        ways = (self._serving, self._administering)
        remaining = [(server.sockets[0].dup(), made) for server, made in zip(self._servers, ways, strict=False)]
        for listener, _ in remaining:
            stop_handshakes(listener)
        for server in self._servers:
            server.close()
        await asyncio.sleep(HANDSHAKE_SECONDS)
        for listener, made in remaining:
            await self._accept_the_rest(listener, made)

    @staticmethod
    async def _accept_the_rest(listener: socket.socket, made: Callable[[], Connection]) -> None:
        """Takes connections that the kernel has accepted already."""
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # nobody waits any more
                    return
                connection.setblocking(False)
                await loop.connect_accepted_socket(made, connection)
