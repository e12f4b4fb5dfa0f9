"""AnswerSamples: requests with their answers, while somebody asks for them and for a moment after.

Nothing is kept of a pod that nobody asks. What is kept is a few requests of the last seconds, drawn so that each had
the same chance, and is forgotten with the answer or with the next question.
"""

import random
import time
from collections.abc import Callable
from typing import Final, Protocol

from headrace.contract.answer_samples import SCORING_PATH, AnswerSample
from headrace.runtimes.http.exchange import Record

MOST: Final = 16
"""Samples kept at once."""
LARGEST_BYTES: Final = 32 * 1024
"""Request and answer together; larger ones are passed over."""
PATIENCE_SECONDS: Final = 30.0
"""After which one who asked does not come back: nothing is kept any more."""


class Recorded(Protocol):
    """A server, as far as its records go."""

    on_record: Callable[[Record], None] | None
    keeps_answers: bool


class AnswerSamples:
    """Takes records from a server as long as it is asked, beside whoever takes them already."""

    def __init__(self, server: Recorded, clock: Callable[[], float] = time.monotonic) -> None:
        self._server, self._clock = server, clock
        self._until = 0.0
        self._seen = 0
        self._kept: list[AnswerSample] = []
        self._before: Callable[[Record], None] | None = None
        self._kept_before = False
        self._takes = False

    def asked(self) -> list[AnswerSample]:
        """What was kept since it was asked last; from now on more is kept."""
        if self._clock() > self._until:
            self._kept = []  # of an earlier asker
        self._until = self._clock() + PATIENCE_SECONDS
        if not self._takes:
            self._takes, self._before, self._kept_before = True, self._server.on_record, self._server.keeps_answers
            self._server.on_record, self._server.keeps_answers = self._take, True
        found, self._kept, self._seen = self._kept, [], 0
        return found

    def _take(self, record: Record) -> None:
        if self._before is not None:
            self._before(record)
        if self._clock() > self._until:
            self._takes, self._kept = False, []
            self._server.on_record, self._server.keeps_answers = self._before, self._kept_before
            return
        if record.path != SCORING_PATH or record.status != 200:
            return
        content_type = dict(record.headers).get(b"content-type", b"").decode("latin-1")
        if "json" not in content_type or len(record.body) + len(record.answer) > LARGEST_BYTES:
            return
        self._seen += 1
        place = len(self._kept) if len(self._kept) < MOST else random.randrange(self._seen)
        if place < MOST:  # Vitter's reservoir
            body, answer = (text.decode(errors="replace") for text in (record.body, record.answer))
            self._kept[place : place + 1] = [AnswerSample(content_type=content_type, body=body, answer=answer)]
