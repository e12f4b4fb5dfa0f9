"""The load, in a process of its own: `python -m bench.product.client`, a job as JSON in, what came back as JSON out.

Closed loop: each connection sends its next request when it has its answer. Open loop: requests leave at their times
whatever the answers do, and latency counts from when a request was due. Every request has a number and a line in the
ledger: when it left or was due, its status, how long it took. Nothing is sent twice.
"""

import base64
import gc
import json
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.autoscaler.live_load import times
from bench.product import wire

LAST_ANSWERS_SECONDS: Final = 20.0
"""How long after the last request answers are waited for; what comes later has failed."""
LOST: Final = 0
"""Status of a request whose connection broke, or whose answer never came."""


@dataclass
class Ledger:
    """One line a request, in the order in which they left."""

    since: list[float] = field(default_factory=list)
    """Seconds from the start: when it left, or was due in an open loop."""
    seconds: list[float] = field(default_factory=list)
    """From then to the answer."""
    status: list[int] = field(default_factory=list)

    def sent(self, since: float) -> int:
        """Number of a new request."""
        self.since.append(since)
        self.seconds.append(-1.0)
        self.status.append(LOST)
        return len(self.since) - 1

    def answered(self, number: int, status: int, now: float) -> None:
        """`now`: seconds from the start."""
        self.status[number] = status
        self.seconds[number] = now - self.since[number]


class Sender:
    """Numbers requests and sends them."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._parts = [base64.b64decode(part) for part in job["parts"]]
        kind = wire.RpcConnection if job.get("grpc") else wire.Connection
        self.connections = wire.Connections(job["host"], job["port"], ca_file=job.get("ca_file"), kind=kind)
        self.ledger = Ledger()
        self.begin = 0.0
        self._renew = int(job.get("requests_a_connection", 0))

    def start(self) -> float:
        """Second 0 is now; returns it in Unix seconds."""
        self.begin = time.perf_counter()
        return time.time()

    def now(self) -> float:
        return time.perf_counter() - self.begin

    def send(self, connection: wire.Connection, since: float) -> wire.Connection:
        """Sends the next request; on a new connection where this one is closed or has done its share."""
        if connection.closed or (self._renew and connection.uses >= self._renew):
            connection.close()
            connection = self.connections.open()
        connection.number = self.ledger.sent(since)
        connection.send(self._parts)
        return connection


def closed_loop(job: dict[str, Any], sender: Sender) -> float:
    """Returns when second 0 was, in Unix seconds."""
    opened = [sender.connections.open() for _ in range(job["connections"])]
    started_at = sender.start()
    stop = float(job["seconds"])
    for connection in opened:
        sender.send(connection, sender.now())
    while sender.connections.by_descriptor and (now := sender.now()) < stop + LAST_ANSWERS_SECONDS:
        for connection, status in sender.connections.answered(1.0):
            now = sender.now()
            sender.ledger.answered(connection.number, status, now)
            if now >= stop:
                connection.close()
                continue
            try:
                sender.send(connection, now)
            except OSError:  # nobody listens: one request less, and the connection is gone
                sender.ledger.sent(now)
    return started_at


def open_loop(job: dict[str, Any], sender: Sender) -> float:
    """Connections are all open before the first request; one that finds none idle waits, and its latency tells."""
    idle = deque(sender.connections.open() for _ in range(job["most_connections"]))
    dues = deque(times(job["rates"]))
    started_at = sender.start()
    stop = len(job["rates"]) + LAST_ANSWERS_SECONDS
    waiting: deque[float] = deque()
    outstanding = 0
    while dues or waiting or outstanding:
        now = sender.now()
        if now > stop:
            break
        while dues and dues[0] <= now:
            waiting.append(dues.popleft())
        while waiting and idle:
            try:
                sender.send(idle.popleft(), waiting[0])
                outstanding += 1
            except OSError:
                sender.ledger.sent(waiting[0])
            waiting.popleft()
        pause = dues[0] - sender.now() if dues else 0.05
        for connection, status in sender.connections.answered(min(0.05, pause)):
            sender.ledger.answered(connection.number, status, sender.now())
            outstanding -= 1
            idle.append(connection)
    for due in waiting:
        sender.ledger.sent(due)
    return started_at


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Runs a job: host, port, ca_file, parts (base64), grpc, and seconds and connections, or rates and
    most_connections; `ledger` names a file for the ledger."""
    sender = Sender(job)
    gc.disable()  # nothing here is cyclic, and a collection would walk every line of the ledger
    cpu, wall = time.process_time(), time.perf_counter()
    started_at = (open_loop if "rates" in job else closed_loop)(job, sender)
    spent = time.process_time() - cpu
    ledger = sender.ledger
    if job.get("ledger"):
        lines = zip(ledger.since, ledger.status, ledger.seconds, strict=True)
        text = "".join(f"{at},{since:.4f},{status},{took:.4f}\n" for at, (since, status, took) in enumerate(lines))
        Path(job["ledger"]).write_text("id,sent,status,seconds\n" + text)
    return {
        "started_at": started_at,
        "client_cpu_seconds": spent,
        "client_cores": spent / (time.perf_counter() - wall),
        **told(ledger),
    }


def told(ledger: Ledger) -> dict[str, Any]:
    """Percentiles and counts of a ledger, whole and by the second in which answers came."""
    good: list[float] = []
    by_second: dict[int, list[float]] = {}
    failed: dict[int, int] = {}
    statuses: dict[int, int] = {}
    for since, took, status in zip(ledger.since, ledger.seconds, ledger.status, strict=True):
        statuses[status] = statuses.get(status, 0) + 1
        second = int(since + max(0.0, took))
        if status == 200:
            good.append(took)
            by_second.setdefault(second, []).append(took)
        else:
            failed[second] = failed.get(second, 0) + 1
    last = max([*by_second, *failed], default=-1)
    track = []
    for second in range(last + 1):
        found = sorted(by_second.get(second, []))
        track.append(
            {
                "second": second,
                "answers": len(found),
                "failures": failed.get(second, 0),
                "p50_ms": 1e3 * percentile(found, 0.5),
                "p99_ms": 1e3 * percentile(found, 0.99),
            }
        )
    good.sort()
    return {
        "sent": len(ledger.since),
        "answers": len(good),
        "failures": len(ledger.since) - len(good),
        "statuses": statuses,
        "p50_ms": 1e3 * percentile(good, 0.5),
        "p90_ms": 1e3 * percentile(good, 0.9),
        "p99_ms": 1e3 * percentile(good, 0.99),
        "track": track,
    }


def percentile(values: list[float], share: float) -> float:
    """Of sorted values; 0 of none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
