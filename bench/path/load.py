"""Load over TLS from a separate process: `python -m bench.path.load`, JSON in on stdin and JSON out on stdout.

The loop and the numbers are those of `bench.runtime.load`; here are TLS and a request with headers of its own.
"""

import gc
import json
import select
import socket
import ssl
import sys
from typing import Any

from bench.runtime import load


class Channel:
    """A TLS socket that behaves like a plain one that does not block."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        plain.setblocking(True)
        self._tls = context.wrap_socket(plain, server_hostname="localhost")
        self._tls.setblocking(False)
        self.fileno, self.close = self._tls.fileno, self._tls.close

    def send(self, data: Any) -> int:
        """Bytes taken. Raises BlockingIOError when there is no room."""
        try:
            return self._tls.send(data)
        except ssl.SSLWantWriteError as error:
            raise BlockingIOError from error

    def recv(self, most: int) -> bytes:
        """All that has come: epoll knows nothing of what lies decrypted here. Raises BlockingIOError when nothing."""
        parts = []
        try:
            while part := self._tls.recv(most):
                parts.append(part)
                if not self._tls.pending():
                    break
        except ssl.SSLWantReadError as error:
            if not parts:
                raise BlockingIOError from error
        return b"".join(parts)


class Kept(load.Connections):
    """Connections that were all open before the first request, over TLS where there is an authority to trust."""

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__(job["host"], job["port"], load.Connection)
        self._context = ssl.create_default_context(cafile=job["ca_file"]) if job.get("ca_file") else None
        self._idle = [self._opened() for _ in range(job["connections"])]

    def open(self) -> load.Connection:
        """One that is open already, while there is one."""
        return self._idle.pop() if self._idle else self._opened()

    def _opened(self) -> load.Connection:
        connection = load.Connection(self)
        if self._context is not None:
            connection.socket = Channel(connection.socket, self._context)  # type: ignore[assignment]
        self.by_descriptor[connection.socket.fileno()] = connection
        self.epoll.register(connection.socket, select.EPOLLIN)
        return connection


def main() -> None:
    """One closed loop. The job, a line: host, port, ca_file or none, path, headers, body, connections, seconds.

    Says `ready` when all connections are open, and begins when it is told anything; what servers did until then is
    not part of the load.
    """
    job = json.loads(sys.stdin.readline())
    lines = [f"POST {job['path']} HTTP/1.1", f"Host: localhost:{job['port']}"]
    lines += [f"{name}: {value}" for name, value in job["headers"].items()]
    body = job["body"].encode()
    request = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    connections = Kept(job)
    gc.disable()
    print("ready", flush=True)
    sys.stdin.readline()
    tally = load.closed_loop({**job, "warm_up_seconds": 0.0}, request, connections)
    good = sorted(tally.latencies.get(200, []))
    result = {
        "statuses": {status: len(values) for status, values in tally.latencies.items()},
        "broken": tally.broken,
        "requests_per_second": len(good) / job["seconds"],
        **{f"{name}_ms": 1e3 * load.percentile(good, share) for name, share in (("p50", 0.5), ("p99", 0.99)) if good},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
