"""The proof of a model's independence: at load by made rows and, where those do not suffice, by callers' rows later."""

import logging
from itertools import chain
from typing import Any

from . import rows as made_rows
from .independence import ROWS, Comparison, Trial, Verdict
from .tensors import Tensor

log = logging.getLogger("headrace.worker")

_LIVE_ROWS = 128
"""Rows of callers kept at most."""
_LIVE_PROOFS = 4
"""Proofs with callers' rows tried at most, each with twice as many rows as the one before."""


class Proof:
    """What is known, and what is still to be learned. `predict` gives a JSON-ready result.

    `network`: the model is a neural network, see `rows.made` and `independence.Comparison`.
    """

    def __init__(self, plan: Any, predict: Any, example: "list[Any]", *, network: bool) -> None:
        self._plan = plan
        self._predict = predict
        self._example = example
        self._network = network
        self._live: dict[Any, Any] = {}
        self._wanted = 0
        """Rows of callers with which the next proof is tried; 0: none is."""

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

    def learn(self) -> "Verdict | None":
        """The verdict by callers' rows; None while there are not enough, or when it is not open."""
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

    def odd(self, rows: "list[Any]", together: "list[Any]", alone: "list[Any]") -> bool:
        """Whether an answer of rows together differs from that of rows alone by more than a rounding."""
        try:
            compare = Comparison(self._plan, self._predict, rounds=self._network)
            return compare.odd(rows, together, alone) is not None
        except BaseException as error:  # sys.exit in a model too
            log.debug("a check failed", exc_info=error)
            return True

    def _verdict(self, live: "list[Any]") -> Verdict:
        made = made_rows.made(self._plan, self._example, careful=self._network)
        return Trial(self._plan, self._predict, rounds=self._network).verdict(chain(live, made))
