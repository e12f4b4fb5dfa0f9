"""The proof of a model's independence: at load by made rows and, where those do not suffice, by callers' rows later.

It holds for the kinds of values that it was made with (`kinds`). Requests with others are answered apart, and then
tried beside rows whose answers are known, between calls: nobody waits for it, and no answer of it reaches a caller.
"""

from __future__ import annotations

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.
import logging
import random
from itertools import chain
from typing import Any

from . import rows as made_rows
from .independence import DEPENDS, ROWS, Comparison, Trial, Verdict
from .kinds import Kinds
from .tensors import Tensor

log = logging.getLogger("headrace.worker")

_LIVE_ROWS = 128
"""Rows of callers kept at most."""
_LIVE_PROOFS = 4
"""Proofs with callers' rows tried at most, each with twice as many rows as the one before."""
_MET_ROWS = 256
"""Rows with values of unknown kinds that are tried at a time."""
_KNOWN_ROWS = 32
"""Rows that they are tried beside."""


class Proof:
    """What is known, and what is still to be learned. `predict` gives a JSON-ready result.

    `network`: the model is a neural network, see `rows.made` and `independence.Comparison`. `behind`: `Trial`.
    """

    def __init__(
        self, plan: Any, predict: Any, example: list[Any], *, network: bool, numpy: Any, behind: Any = None
    ) -> None:
        self._plan = plan
        self._numpy = numpy
        self._predict = predict
        self._example = example
        self._network = network
        self._behind = behind
        self._live: dict[Any, Any] = {}
        self._wanted = 0
        """Rows of callers with which the next proof is tried; 0: none is."""
        self._kinds: Kinds | None = None
        """What the proof holds for; None until there is one."""
        self._known: list[tuple[Any, Any]] = []
        """Rows and their answers alone, which were tried together."""
        self._met: list[tuple[list[Any], list[Any]]] = []
        """Rows of requests with values of unknown kinds, and the answers to each request."""
        self._most_rows = 0

    def at_load(self) -> Verdict:
        """The verdict by the signature and the example; callers' rows are kept from now on where it is open."""
        verdict = self._verdict([])
        if not verdict.merges and not verdict.mixes:
            self._wanted = ROWS
        return verdict

    @property
    def open(self) -> bool:
        """Whether it waits for callers' rows."""
        return self._wanted > 0

    def keep(self, rows: Any) -> None:
        """Remembers rows that the model has answered."""
        tensor = isinstance(self._plan, Tensor)
        for row in rows if tensor or type(rows) is list else rows.tolist():
            if len(self._live) >= _LIVE_ROWS:
                return
            if tensor:
                self._live[self._plan.build([row]).tobytes()] = row
            elif None not in row:
                self._live[tuple(row)] = tuple(row)

    def odd(self, tables: list[Any], data: Any) -> list[int]:
        """Which rows hold values of a kind that was not tried, of all rows of tables and the input that they make."""
        return [] if self._kinds is None else self._kinds.odd(tables, data)

    def meet(self, rows: Any, answers: list[Any]) -> None:
        """Remembers a request with such rows, and what it was answered apart."""
        if sum(len(some) for some, _ in self._met) + len(rows) <= min(_MET_ROWS, self._most_rows):
            self._met.append((rows if type(rows) is list else rows.tolist(), answers))

    def learn(self) -> Verdict | None:
        """The verdict by callers' rows, where they change it; None while there are not enough."""
        if self._met:
            met, self._met = self._met, []
            return self._introduce(met)
        if not self._wanted or len(self._live) < self._wanted:
            return None
        rows, last = list(self._live.values()), self._wanted >= ROWS << (_LIVE_PROOFS - 1)
        self._wanted *= 2
        try:
            verdict = self._verdict(rows)
        except Exception as error:
            log.debug("a proof with callers' rows failed", exc_info=error)
            verdict = Verdict(False, f"the trial failed ({type(error).__name__})")
        if verdict.merges or verdict.mixes or last:
            self.close()
        return verdict

    def close(self) -> None:
        """Nothing more is to be learned."""
        self._wanted = 0
        self._live = {}

    def differs(self, rows: list[Any], together: list[Any], alone: list[Any]) -> bool:
        """Whether an answer of rows together differs from that of rows alone by more than a rounding."""
        try:
            compare = Comparison(self._plan, self._predict, rounds=self._network)
            return compare.odd(rows, together, alone) is not None
        except BaseException as error:  # sys.exit in a model too
            log.debug("a check failed", exc_info=error)
            return True

    def _introduce(self, met: list[tuple[list[Any], list[Any]]]) -> Verdict | None:
        """Tries requests beside rows that are known, in two orders; a verdict where that changes an answer."""
        room = max(2, self._most_rows - sum(len(rows) for rows, _ in met))
        known = random.sample(self._known, min(room, len(self._known)))
        half = len(known) // 2
        for company in (met, met[::-1]):
            parts = [([row], [answer]) for row, answer in known]
            parts[half:half] = company
            rows = [row for some, _ in parts for row in some]
            alone = [answer for _, some in parts for answer in some]
            try:
                together = self._predict(self._plan.build(rows))
            except MemoryError:
                return None
            except BaseException as error:  # sys.exit in a model too
                return Verdict(False, f"a merged call fails ({type(error).__name__})", mixes=True)
            if type(together) is not list or len(together) != len(rows):
                return Verdict(False, "its result is not one item a row", mixes=True)
            if self.differs(rows, together, alone):
                return Verdict(False, DEPENDS, mixes=True)
        for some, answers in met:
            self._know(some, answers)
        return None

    def _know(self, rows: list[Any], answers: list[Any]) -> None:
        assert self._kinds is not None
        self._kinds.know([rows], self._plan.build(rows))
        self._known = [*self._known, *zip(rows, answers)][-_KNOWN_ROWS:]

    def _verdict(self, live: list[Any]) -> Verdict:
        made = made_rows.made(self._plan, self._example, careful=self._network)
        trial = Trial(self._plan, self._predict, rounds=self._network, behind=self._behind)
        verdict = trial.verdict(chain(live, made))
        if verdict.merges:
            self._most_rows, self._kinds = verdict.most_rows, Kinds(self._plan, self._numpy)
            self._know(*trial.tried(nulls=verdict.nulls))
        return verdict
