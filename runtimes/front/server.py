"""gunicorn around the application: one process that serves, and a parent that replaces it should it ever end.

gunicorn 27.0.1 with its own ASGI worker is what loses no request on SIGTERM (docs/decisions/0301). Five things are
added here: SIGTERM first takes the pod out of rotation, connections that the kernel has accepted when the listener
closes are taken over, idle ones are closed when a drain ends instead of holding it up, refusals by the HTTP parser
are JSON like all others, and the listener holds as many connections as it was told to.
"""

import asyncio
import os
import socket
from typing import Any

import uvloop
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from gunicorn.workers import gasgi  # type: ignore[import-untyped]

from headrace.runtimes.front import logs
from headrace.runtimes.front.app import Front
from headrace.runtimes.front.connection import FrontProtocol
from headrace.runtimes.front.settings import Settings

KEEPALIVE_SECONDS = 75
"""Longer than Envoy's 60 s idle timeout, so that Envoy closes first and never reuses a connection we just closed."""
BACKLOG = 2048
"""Connections that the kernel accepts while the front is busy; one that finds no place tries again after a second."""
ROTATION_SECONDS = 5.0
"""After SIGTERM: how long the pod serves on, not ready, while routing takes it out; a quarter of a short grace."""


gasgi.ASGIProtocol = FrontProtocol  # the worker looks the class up in its module for each connection


class _Loop(uvloop.Loop):
    """An event loop whose listeners keep their backlog: by default asyncio sets it to 100 again, whoever made them."""

    async def create_server(self, *args: Any, **kwargs: Any) -> Any:
        """As uvloop's, with our backlog."""
        return await super().create_server(*args, backlog=BACKLOG, **kwargs)


class FrontWorker(gasgi.ASGIWorker):  # type: ignore[misc] # gunicorn has no types
    """The serving process."""

    front: Front

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.protocols: set[FrontProtocol] = set()

    def _setup_event_loop(self) -> None:
        self.loop = _Loop()
        asyncio.set_event_loop(self.loop)

    def load_wsgi(self) -> None:
        """Creates the application inside the serving process."""
        super().load_wsgi()
        self.front = self.asgi

    def handle_exit_signal(self) -> None:
        """SIGTERM: not ready at once, serve on while routing catches up, then stop accepting and finish."""
        if self.front.draining:
            return
        self.front.draining = True
        grace = self.front.settings.grace_seconds
        rotation = min(ROTATION_SECONDS, grace / 4)
        # Left of the grace for requests in flight, less a second for the workers to leave.
        self.cfg.set("graceful_timeout", max(0, int(grace - rotation - 2)))
        self.log.info("draining: serving on for %.1f s, then finishing what is in flight", rotation)
        self.loop.call_later(rotation, super().handle_exit_signal)

    async def _shutdown(self) -> None:
        self.front.rpc.leave(self.cfg.graceful_timeout)
        listeners = [wrapped.sock.dup() for wrapped in self.sockets]
        for server in self.servers:
            server.close()
        for listener in listeners:
            await self._accept_the_rest(listener)
        closer = asyncio.create_task(self._close_idle())
        try:
            await super()._shutdown()
        finally:
            closer.cancel()

    async def _accept_the_rest(self, listener: socket.socket) -> None:
        """Takes connections that the kernel has accepted already: closing the listener would reset them."""
        listener.setblocking(False)
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # nobody waits any more
                    return
                connection.setblocking(False)
                await self.loop.connect_accepted_socket(lambda: FrontProtocol(self), connection)

    async def _close_idle(self) -> None:
        while True:
            for protocol in list(self.protocols):
                protocol.close_if_idle()
            await asyncio.sleep(0.1)


class Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """gunicorn, configured in code."""

    def __init__(self, settings: Settings, *, began: float | None = None) -> None:
        """`began` is when the pod's process started, in monotonic seconds; None where nobody wants to know."""
        self._settings = settings
        self._began = began
        # Made here, in gunicorn's parent: what workers print survives the serving process.
        self._pipes = logs.pipes(settings.worker_count + 1)
        super().__init__()

    def load_config(self) -> None:
        """Sets what differs from gunicorn's defaults."""
        settings = self._settings
        bind = [f"{settings.host}:{settings.port}"]
        if settings.admin_port:
            bind.append(f"{settings.host}:{settings.admin_port}")
        values: dict[str, Any] = {
            "bind": bind,
            "worker_class": FrontWorker,
            "workers": 1,
            "backlog": BACKLOG,
            "keepalive": KEEPALIVE_SECONDS,
            "graceful_timeout": max(1, int(settings.grace_seconds)),
            "timeout": 30,
            "asgi_lifespan": "on",
            "asgi_disconnect_grace_period": 0,  # a client that left frees its place in the queue at once
            "limit_request_line": 8190,
            "limit_request_fields": 100,
            "limit_request_field_size": 8190,
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
            "control_socket_disable": True,
            "logconfig_dict": logs.configuration(),
            "proc_name": "headrace-front",
        }
        for key, value in values.items():
            self.cfg.set(key, value)

    def load(self) -> Front:
        """The ASGI application; called in the serving process."""
        return Front(self._settings, pipes=self._pipes, on_fatal=end, began=self._began)


def end(reason: str) -> None:
    """Ends the pod: gunicorn's parent stops, non-zero, when its worker ends with this status."""
    del reason  # logged and written to the termination log where it arose
    os._exit(Arbiter.WORKER_BOOT_ERROR)
