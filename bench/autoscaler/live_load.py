"""Open-loop load through the PoP: requests leave at their times whatever the answers do, and none is sent twice."""

import json
import ssl
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import urllib3

from bench.load.schedule import times
from headrace.contract import names

SENDERS: Final = 96
"""Most requests under way at once; one that finds no sender leaves late, which its latency tells."""
PATIENCE_SECONDS: Final = 60.0
BODY_CHARACTERS: Final = 500
"""Kept of an answer that is no prediction."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one request."""

    due: float
    """When it should have left, in seconds from the start."""
    seconds: float
    """From then to the answer's last byte."""
    status: int
    """HTTP status; 0: the connection broke or nothing came."""
    body: str = ""
    """What came with a status other than 200, or how the connection broke; its beginning."""
    version: str = ""
    """The version that answered, as the answer says."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where requests go."""

    url: str
    """Whole address of the endpoint's invocations."""
    token: str
    ca_file: str
    body: bytes


def target(description: Mapping[str, Any], endpoint: str, body: Any) -> Target:
    """The endpoint of a demo, as its demo.json describes it."""
    return Target(
        url=f"{description['url']}/serving-endpoints/{endpoint}/invocations",
        token=description["token"],
        ca_file=description["ca_file"],
        body=json.dumps(body).encode(),
    )


class Load:
    """A running load. `answers` grows; it is whole after `wait`."""

    def __init__(self, to: Target, rates: Sequence[float]) -> None:
        """`rates`: requests per second, one entry a second, evenly spaced."""
        self.answers: list[Answer] = []
        self.started_at = 0.0
        """Unix seconds of the first second's beginning."""
        self._to, self._dues = to, list(times(rates))
        parts = urllib.parse.urlsplit(to.url)
        context = ssl.create_default_context(cafile=to.ca_file)
        self._pool = urllib3.HTTPSConnectionPool(
            parts.hostname or "", parts.port, maxsize=SENDERS, retries=False, ssl_context=context
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> "Load":
        """Begins to send."""
        self.started_at = time.time()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Sends nothing more."""
        self._stop.set()

    def wait(self) -> list[Answer]:
        """All answers, once the last request was answered or given up."""
        self._thread.join()
        return self.answers

    def statuses(self) -> Counter[int]:
        """How many answers had each status so far."""
        return Counter(answer.status for answer in self.answers)

    def failures(self) -> list[Answer]:
        """Answers so far with another status than 200, in the order in which they came."""
        return [answer for answer in self.answers if answer.status != 200]

    def _run(self) -> None:
        begin = time.monotonic()
        pending: list[Future[None]] = []
        with ThreadPoolExecutor(SENDERS) as senders:
            for due in self._dues:
                if self._stop.wait(max(0.0, begin + due - time.monotonic())):
                    break
                pending.append(senders.submit(self._send, begin, due))
        for sent in pending:
            sent.result()

    def _send(self, begin: float, due: float) -> None:
        try:
            response = self._pool.request(
                "POST",
                self._to.url,
                body=self._to.body,
                headers={"content-type": "application/json", "authorization": f"Bearer {self._to.token}"},
                timeout=PATIENCE_SECONDS,
            )
            status, version = response.status, response.headers.get(names.SERVED_MODEL_HEADER, "")
            body = "" if status == 200 else response.data.decode(errors="replace")
        except urllib3.exceptions.HTTPError as error:
            status, body, version = 0, repr(error), ""
        taken = time.monotonic() - begin - due
        answer = Answer(due=due, seconds=taken, status=status, body=body[:BODY_CHARACTERS], version=version)
        self.answers.append(answer)


@contextmanager
def offered(to: Target, rates: Sequence[float]) -> Iterator[Load]:
    """The load while the block runs; at its end no request is under way any more."""
    load = Load(to, rates).start()
    try:
        yield load
    finally:
        load.stop()
        load.wait()


def ramp(low: float, high: float, seconds: int) -> list[float]:
    """A straight line, one rate a second."""
    return [low + (high - low) * (second + 1) / seconds for second in range(seconds)]
