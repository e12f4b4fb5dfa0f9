"""Load from a separate process: `python -m bench.runtime.load`, JSON in on stdin and JSON out on stdout.

Closed loop: N connections, each sends the next request when it has its answer. Open loop: requests leave at fixed
times whatever the answers do, and latency counts from the time a request was due (no coordinated omission).
Requests are prepared bytes and answers are cut by Content-Length, so that the generator takes little of the machine.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvloop


@dataclass
class Tally:
    """What came back."""

    latencies: dict[int, list[float]] = field(default_factory=dict)
    """Seconds, by HTTP status."""
    in_time: int = 0
    """Open loop: predictions that came while requests were measured, whenever they were asked for."""
    broken: int = 0
    """Connections that closed with a request unanswered."""

    def add(self, status: int, seconds: float) -> None:
        self.latencies.setdefault(status, []).append(seconds)


class Connection(asyncio.Protocol):
    """One keep-alive connection; answers resolve `answered` with their status."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.answered: asyncio.Future[int] | None = None
        self._buffer = b""
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(0)

    def send(self, request: bytes) -> "asyncio.Future[int]":
        self._buffer = b""
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answered

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or self.answered is None or self.answered.done():
            return
        head = buffer[:end].lower()
        at = head.find(b"content-length:")
        if at >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            whole = len(buffer) >= end + 4 + length
        else:
            whole = buffer.endswith(b"0\r\n\r\n")
        if whole:
            self.answered.set_result(int(head[9:12]))


def prepared(host: str, port: int, path: str, content_type: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


async def closed_loop(job: dict[str, Any], request: bytes) -> Tally:
    loop = asyncio.get_running_loop()
    tally = Tally()
    begin = time.perf_counter() + job["warm_up_seconds"]
    stop = begin + job["seconds"]

    async def client() -> None:
        _, connection = await loop.create_connection(Connection, job["host"], job["port"])
        while (sent := time.perf_counter()) < stop:
            if connection.closed:
                _, connection = await loop.create_connection(Connection, job["host"], job["port"])
            status = await connection.send(request)
            if sent >= begin:
                if status:
                    tally.add(status, time.perf_counter() - sent)
                else:
                    tally.broken += 1
        connection.transport.close()

    await asyncio.gather(*[client() for _ in range(job["connections"])])
    return tally


async def open_loop(job: dict[str, Any], request: bytes) -> Tally:
    """Requests leave at their times on connections that are all open before the first of them.

    A request that finds every connection taken waits for one, and its latency counts from when it was due. There are
    more connections than a server admits at once, so that one waits only where refusals are slow to come.
    """
    loop = asyncio.get_running_loop()
    tally = Tally()
    idle: deque[Connection] = deque()
    due: deque[float] = deque()
    for _ in range(job["most_connections"]):
        idle.append((await loop.create_connection(Connection, job["host"], job["port"]))[1])
    begin = time.perf_counter()
    measured = begin + job["warm_up_seconds"]
    end = measured + job["seconds"]
    outstanding = 0

    def settle(connection: Connection, since: float, answered: "asyncio.Future[int]") -> None:
        nonlocal outstanding
        outstanding -= 1
        status, now = answered.result(), time.perf_counter()
        tally.in_time += status == 200 and measured <= now < end
        if not status:
            tally.broken += 1
        elif since >= measured:
            tally.add(status, now - since)
        if not connection.closed:
            idle.append(connection)
            send()

    def send() -> None:
        nonlocal outstanding
        while due and idle:
            connection, since = idle.popleft(), due.popleft()
            if connection.closed:
                due.appendleft(since)
                continue
            outstanding += 1
            connection.send(request).add_done_callback(partial(settle, connection, since))

    total = int(job["rate"] * (job["seconds"] + job["warm_up_seconds"]))
    sent = 0
    while sent < total:
        now = time.perf_counter()
        while sent < total and begin + sent / job["rate"] <= now:
            due.append(begin + sent / job["rate"])
            sent += 1
        send()
        await asyncio.sleep(0.001)
    stop = time.perf_counter() + 15
    while (due or outstanding) and time.perf_counter() < stop:  # noqa: ASYNC110 -- two conditions and a deadline
        await asyncio.sleep(0.01)
    tally.broken += len(due) + outstanding
    return tally


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Runs one job: host, port, path, content_type, body, seconds, warm_up_seconds, and connections, or rate and
    most_connections."""
    request = prepared(job["host"], job["port"], job["path"], job["content_type"], job["body"].encode())
    started_cpu = time.process_time()
    tally = uvloop.run(closed_loop(job, request) if "connections" in job else open_loop(job, request))
    good = sorted(tally.latencies.get(200, []))
    refused = sorted(value for status in (429, 503) for value in tally.latencies.get(status, []))
    result: dict[str, Any] = {
        "statuses": dict(Counter({status: len(values) for status, values in tally.latencies.items()})),
        "broken": tally.broken,
        "goodput": tally.in_time / job["seconds"],
        "requests_per_second": len(good) / job["seconds"],
        "generator_cpu_seconds": time.process_time() - started_cpu,
    }
    for name, values in (("", good), ("refused_", refused)):
        if values:
            for label, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
                result[f"{name}{label}_ms"] = percentile(values, share) * 1e3
    return result


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
