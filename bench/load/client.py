"""One load. Closed loop: each connection sends its next request when it has its answer. Open loop: requests leave at
their times whatever the answers do. Nothing is sent twice, and every request has a line in the ledger.
"""

import base64
import gc
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time, time
from typing import Any, Final

from bench.load.connection import LOST, Connection, Connections
from bench.load.ledger import NEVER, Ledger
from bench.load.rpc import RpcConnection
from bench.load.schedule import times

LAST_ANSWERS_SECONDS: Final = 20.0
"""How long after the last request answers are waited for; what comes later has failed."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is sent, to whom, and how often."""

    host: str
    port: int
    parts: Sequence[str]
    """What the client writes, piece by piece, in base64: `bodies.Form.writes`, or `rpc.call`."""
    grpc: bool = False
    ca_file: str | None = None
    """The authority that a server with TLS is held to; None: no TLS."""
    connections: int
    """All are open before the first request; a request of an open loop that finds none idle waits for one."""
    seconds: float
    warm_up_seconds: float = 0.0
    """Before those seconds: what is due then is sent, and not counted."""
    rate: float = 0.0
    """Of an open loop, requests a second."""
    rates: Sequence[float] = ()
    """The same, one a second."""
    requests_a_connection: int = 0
    """A connection is renewed after so many; 0: never."""
    apart: bool = False
    """Whether parts after the first leave when all other connections have been seen to, so that a server which is quick
    enough reads the first one alone."""
    ledger: str = ""
    """A file for the ledger."""

    def dues(self) -> list[float]:
        """When the requests of an open loop leave, in seconds from the start."""
        if self.rates:
            return list(times(self.rates))
        return [at / self.rate for at in range(int(self.rate * (self.warm_up_seconds + self.seconds)))]


class Load:
    """A job under way."""

    def __init__(self, job: Job) -> None:
        self._connections = Connections(
            job.host,
            job.port,
            [base64.b64decode(part) for part in job.parts],
            apart=job.apart,
            ca_file=job.ca_file,
            kind=RpcConnection if job.grpc else Connection,
        )
        self._opened = [self._connections.open() for _ in range(job.connections)]
        self._most_uses = job.requests_a_connection or -1
        self.ledger = Ledger()

    def closed(self, stop: float) -> None:
        """Sends until `stop`, and waits for the last answers."""
        connections, most, end = self._connections, self._most_uses, self.ledger.lines.append
        for connection in self._opened:
            now = perf_counter()
            connection.ask(now, now)
        while connections.by_descriptor and perf_counter() < stop + LAST_ANSWERS_SECONDS:
            for connection, status in connections.answered(1.0):
                now = perf_counter()
                end((connection.due, connection.left, now, status))
                if now >= stop:
                    connection.close()
                elif connection.closed or connection.uses == most:
                    self._ask_anew(connection, now, now)
                else:
                    connection.ask(now, now)
        self._give_up(connections.by_descriptor.values())

    def open(self, start: float, after: Iterable[float], stop: float) -> None:
        """Sends what is due, in seconds after `start`, and waits for the last answers."""
        connections, most, end = self._connections, self._most_uses, self.ledger.lines.append
        dues, waiting, idle = deque(after), deque[float](), deque(self._opened)
        outstanding = 0
        while True:
            now = perf_counter()
            while dues and start + dues[0] <= now:
                waiting.append(start + dues.popleft())
            for _ in range(min(len(waiting), len(idle))):
                connection, due = idle.popleft(), waiting.popleft()
                if not (connection.closed or connection.uses == most):
                    connection.ask(due, perf_counter())
                elif not self._ask_anew(connection, due, perf_counter()):
                    idle.append(connection)
                    continue
                outstanding += 1
            if not (dues or waiting or outstanding) or now > stop + LAST_ANSWERS_SECONDS:
                break
            pause = start + dues[0] - now if dues else 1.0
            for connection, status in connections.answered(max(0.0, pause)):
                end((connection.due, connection.left, perf_counter(), status))
                outstanding -= 1
                idle.append(connection)
        self.ledger.lines += [(due, NEVER, NEVER, LOST) for due in waiting]
        self._give_up(set(connections.by_descriptor.values()).difference(idle))

    def _ask_anew(self, connection: Connection, due: float, now: float) -> bool:
        """Whether the next request was sent, on a new connection as this one is closed or has done its share."""
        connection.close()
        try:
            self._connections.open().ask(due, now)
        except OSError:  # nobody listens
            self.ledger.lines.append((due, NEVER, NEVER, LOST))
            return False
        return True

    def _give_up(self, unanswered: Iterable[Connection]) -> None:
        self.ledger.lines += [(each.due, each.left, NEVER, LOST) for each in unanswered]


def run(job: Job, begins: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """Runs a job; `begins` is called when all connections are open. Returns what came back, and what it cost here."""
    gc.disable()  # nothing here is cyclic, and a collection would walk every line of the ledger
    cpu, wall = process_time(), perf_counter()
    load, dues = Load(job), job.dues()
    begins()
    start, started_at = perf_counter(), time() + job.warm_up_seconds
    begin = start + job.warm_up_seconds
    if job.rate or job.rates:
        load.open(start, dues, begin + job.seconds)
    else:
        load.closed(begin + job.seconds)
    spent = process_time() - cpu
    cores = spent / (perf_counter() - wall)
    if job.ledger:
        load.ledger.write(Path(job.ledger), begin)
    return {
        "started_at": started_at,
        "client_cpu_seconds": spent,
        "client_cores": cores,
        **load.ledger.told(begin, job.seconds),
    }
