"""Load from a separate process: `python -m bench.runtime.load`, JSON in on stdin and JSON out on stdout.

Closed loop: N connections, each sends the next request when it has its answer. Open loop: requests leave at fixed
times whatever the answers do, and latency counts from the time a request was due (no coordinated omission).
Requests are prepared bytes, answers are cut by Content-Length, and one loop over epoll does nothing else: the server
shares the two cores, so that every microsecond here is one that it does not have.
"""

import gc
import json
import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

REFUSALS = (429, 503)
_READ_BYTES = 65536
LAST_ANSWERS_SECONDS = 15.0
"""How long after the last request answers are waited for."""


@dataclass
class Tally:
    """What came back."""

    latencies: dict[int, list[float]] = field(default_factory=dict)
    """Seconds, by HTTP status."""
    late: list[float] = field(default_factory=list)
    """Open loop: seconds from when a request was due to when it left, which the latency of its answer holds too."""
    refused_after: list[float] = field(default_factory=list)
    """Open loop: seconds from when a request that was refused left to its refusal."""
    in_time: int = 0
    """Open loop: predictions that came while requests were measured, whenever they were asked for."""
    broken: int = 0
    """Connections that closed with a request unanswered."""

    def add(self, status: int, seconds: float) -> None:
        self.latencies.setdefault(status, []).append(seconds)


class Connection:
    """One keep-alive connection with at most one request on its way."""

    __slots__ = ("_unsent", "closed", "connections", "rest", "sent", "since", "socket")

    def __init__(self, connections: "Connections[Any]") -> None:
        self.connections = connections
        self.socket = socket.create_connection(connections.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.closed = False
        self.since = 0.0
        """When its request was sent, or was due."""
        self.sent = 0.0
        """Open loop: when its request was sent."""
        self.rest = b""
        """What has come of an answer that is not whole."""
        self._unsent = memoryview(b"")

    def send(self, request: bytes, since: float) -> None:
        """Sends a request; what the kernel has no room for follows when it has."""
        self.since = since
        try:
            sent = self.socket.send(request)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the answer that does not come tells
        if sent < len(request):
            self._unsent = memoryview(request)[sent:]
            self.connections.epoll.modify(self.socket, select.EPOLLIN | select.EPOLLOUT)

    def send_rest(self) -> None:
        """Sends what did not fit."""
        try:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = memoryview(b"")
        if not self._unsent:
            self.connections.epoll.modify(self.socket, select.EPOLLIN)

    def receive(self) -> int | None:
        """The status of a whole answer, 0 when the connection closed instead; None until there is either."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self.close()
            return 0
        status = self.whole(self.rest + data if self.rest else data)
        if status == 0:
            self.close()
        return status

    def whole(self, data: bytes) -> int | None:
        """The status of the answer that `data` ends; None, and `data` is kept, while more has to come."""
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            at = data.find(b"ontent-", 0, end)
            while at >= 0 and data[at + 7 : at + 14].lower() != b"length:":
                at = data.find(b"ontent-", at + 7, end)
            if at >= 0:
                whole = len(data) >= end + 4 + int(data[at + 14 : data.find(b"\r", at)])
            else:
                whole = data.endswith(b"0\r\n\r\n")
            if whole:
                self.rest = b""
                return int(data[9:12])
        self.rest = data
        return None

    def close(self) -> None:
        """Ends it; epoll forgets it by itself."""
        self.closed = True
        del self.connections.by_descriptor[self.socket.fileno()]
        self.socket.close()


Kind = TypeVar("Kind", bound=Connection)


class Connections(Generic[Kind]):
    """All connections to one server, and who has something to say."""

    def __init__(self, host: str, port: int, kind: type[Kind]) -> None:
        self.address = (host, port)
        self.epoll = select.epoll()
        self.by_descriptor: dict[int, Kind] = {}
        self._kind = kind

    def open(self) -> Kind:
        """One more connection."""
        connection = self._kind(self)
        self.by_descriptor[connection.socket.fileno()] = connection
        self.epoll.register(connection.socket, select.EPOLLIN)
        return connection

    def answered(self, most_seconds: float) -> Iterator[tuple[Kind, int]]:
        """Connections whose answer came meanwhile, with its status; waits at most so long for a first one."""
        for descriptor, events in self.epoll.poll(most_seconds, 256):
            connection = self.by_descriptor.get(descriptor)
            if connection is None:
                continue
            if events & select.EPOLLOUT:
                connection.send_rest()
            if events & ~select.EPOLLOUT:
                status = connection.receive()
                if status is not None:
                    yield connection, status


def prepared(host: str, port: int, path: str, content_type: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def closed_loop(job: dict[str, Any], request: bytes, connections: Connections | None = None) -> Tally:
    connections = Connections(job["host"], job["port"], Connection) if connections is None else connections
    tally = Tally()
    opened = [connections.open() for _ in range(job["connections"])]
    begin = time.perf_counter() + job["warm_up_seconds"]
    stop = begin + job["seconds"]
    for connection in opened:
        connection.send(request, time.perf_counter())
    while connections.by_descriptor and time.perf_counter() < stop + LAST_ANSWERS_SECONDS:
        for connection, status in connections.answered(1.0):
            now = time.perf_counter()
            if connection.since >= begin:
                if status:
                    tally.add(status, now - connection.since)
                else:
                    tally.broken += 1
            if now >= stop:
                if not connection.closed:
                    connection.close()
            elif connection.closed:
                connections.open().send(request, now)
            else:
                connection.send(request, now)
    tally.broken += len(connections.by_descriptor)
    return tally


def open_loop(job: dict[str, Any], request: bytes) -> Tally:
    """Requests leave at their times on connections that are all open before the first of them.

    A request that finds every connection taken waits for one, and its latency counts from when it was due. There are
    more connections than a server admits at once, so that one waits only where refusals are slow to come.
    """
    connections = Connections(job["host"], job["port"], Connection)
    tally = Tally()
    idle = deque(connections.open() for _ in range(job["most_connections"]))
    due: deque[float] = deque()
    begin = time.perf_counter()
    measured = begin + job["warm_up_seconds"]
    end = measured + job["seconds"]
    rate = job["rate"]
    total = int(rate * (job["seconds"] + job["warm_up_seconds"]))
    planned = outstanding = 0
    stop = end + LAST_ANSWERS_SECONDS
    while True:
        now = time.perf_counter()
        while planned < total and begin + planned / rate <= now:
            due.append(begin + planned / rate)
            planned += 1
        while due and idle:
            connection = idle.popleft()
            if connection.closed:
                continue
            since = due.popleft()
            outstanding += 1
            connection.sent = time.perf_counter()
            if since >= measured:
                tally.late.append(connection.sent - since)
            connection.send(request, since)
        if (planned == total and not due and not outstanding) or now > stop:
            break
        pause = begin + planned / rate - now if planned < total else 0.01
        for connection, status in connections.answered(max(0.0, min(0.01, pause))):
            now = time.perf_counter()
            outstanding -= 1
            tally.in_time += status == 200 and measured <= now < end
            if not status:
                tally.broken += 1
            elif connection.since >= measured:
                tally.add(status, now - connection.since)
                if status in REFUSALS:
                    tally.refused_after.append(now - connection.sent)
            if not connection.closed:
                idle.append(connection)
    tally.broken += len(due) + outstanding
    return tally


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Runs one job: host, port, path, content_type, body, seconds, warm_up_seconds, and connections, or rate and
    most_connections."""
    request = prepared(job["host"], job["port"], job["path"], job["content_type"], job["body"].encode())
    return told(job, lambda: (closed_loop if "connections" in job else open_loop)(job, request))


def told(job: dict[str, Any], load: Callable[[], Tally]) -> dict[str, Any]:
    """Runs the load and says what came back, and what it cost here."""
    gc.disable()  # nothing here is cyclic, and a collection would walk every latency
    started, started_cpu = time.perf_counter(), time.process_time()
    tally = load()
    good = sorted(tally.latencies.get(200, []))
    refused = sorted(value for status in REFUSALS for value in tally.latencies.get(status, []))
    result: dict[str, Any] = {
        "statuses": dict(Counter({status: len(values) for status, values in tally.latencies.items()})),
        "broken": tally.broken,
        "goodput": tally.in_time / job["seconds"],
        "requests_per_second": len(good) / job["seconds"],
        "generator_cores": (time.process_time() - started_cpu) / (time.perf_counter() - started),
        "generator_cpu_seconds": time.process_time() - started_cpu,
    }
    kinds = {"": good, "refused_": refused, "refused_sent_": sorted(tally.refused_after), "late_": sorted(tally.late)}
    for name, values in kinds.items():
        if values:
            for label, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
                result[f"{name}{label}_ms"] = percentile(values, share) * 1e3
    return result


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
