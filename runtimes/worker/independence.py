"""Proves that a model answers each row as if it were alone, whatever rows it is called with.

Every kind of value that merging permits is tried: all columns varied at once, nulls where the signature takes them,
rows in any order, twice, and in calls of one row up to the most that a merged call may have. A model that answers one
row in two ways by itself is not proven either: nobody could tell chance from company.
"""

from __future__ import annotations

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.
import math
import random
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import rows as made_rows
from .columns import Columns

RELATIVE_TOLERANCE = 1e-5
ABSOLUTE_TOLERANCE = 1e-8
"""How far numbers may differ between merged and separate calls (a BLAS sums a matrix in another order than a vector).
Labels, and everything that is not a float, must be equal."""
EXACT = 1e-12
"""Part of a number by which sums in another order differ in double precision, mostly. What differs by more is looked
at again, see `Comparison`."""
ROUNDING = 1e-6
"""The same in single precision, and the part of a call's largest number that a network may be off."""
ROWS = 12
"""Rows asked alone."""
FEWEST_ROWS = 4
MOST_TRIED = 60
"""Rows tried, the refused ones among them."""
MOST_ROWS = 4096
"""Rows of the longest merged call."""
_LENGTHS = (48, 256, 1024)
"""Rows of the longer trial calls, before the longest."""
_BUDGET_SECONDS = 3.0
"""CPU seconds after which no further row is asked alone: on a busy machine, clocks say nothing of the model."""
_PATIENCE_SECONDS = 20.0
"""The same by the clock, for a model that waits."""
_LONG_SECONDS, _LONGER_SECONDS = 0.5, 0.05
"""CPU seconds that a trial call may be expected to take: up to 256 rows, and beyond."""
_MOST_NUMBERS = 1 << 20
"""Numbers in the longest trial call, which bounds its memory."""
_BEHIND = 6
"""Rows of which the numbers behind their labels are asked."""
_DOUBTS = 8
"""Rows of one call looked at again when numbers differ a little."""


DEPENDS = "its answer for a row depends on the other rows"


class Verdict(NamedTuple):
    """What may be merged."""

    merges: bool
    reason: str = ""
    """Why requests are not merged, as a sentence's part; empty when they are."""
    mixes: bool = False
    """Whether that is for good: answers were seen to depend on other rows, or on chance."""
    most_rows: int = 0
    """Rows of the longest call that was proven."""
    nulls: bool = False
    """Whether rows with nulls were proven too."""


class _Refuted(Exception):
    """Carries the reason."""


class Comparison:
    """Tells whether rows were answered together as alone.

    A difference within the tolerance may be a rounding, as sums depend on how many rows a call has, or company, beside
    a large number. So copies of the row alone, as many, must give what the mixed call gave. `rounds`: the model is a
    network in single precision, whose small numbers may be off by a rounding of its large ones.
    """

    def __init__(self, plan: Any, predict: Any, *, rounds: bool = False) -> None:
        self._plan = plan
        self._predict = predict
        self._rounds = rounds

    def odd(self, rows: list[Any], together: list[Any], alone: list[Any]) -> int | None:
        """The place of a row whose answer depends on the others; None when none does."""
        relative, absolute = (ROUNDING, ABSOLUTE_TOLERANCE) if self._rounds else (EXACT, 0.0)
        places = [
            at
            for at, (left, right) in enumerate(zip(together, alone))
            if not close(left, right, absolute=absolute, relative=relative)
        ]
        if not places:
            return None
        allowed = ROUNDING * max(_largest(alone), _largest(together)) if self._rounds else 0.0
        for at in places:
            if not close(together[at], alone[at], absolute=max(allowed, ABSOLUTE_TOLERANCE)):
                return at
        for at in random.Random(len(rows)).sample(places, min(_DOUBTS, len(places))):
            copies = self._predict(self._plan.build([rows[at]] * len(rows)))
            if type(copies) is not list or len(copies) != len(rows) or not close(copies[at], together[at]):
                return at
            if _off(copies[at], together[at]) > _off(alone[at], together[at]) / 2:
                return at
        return None


def _off(left: Any, right: Any) -> float:
    """The largest difference of finite numbers in two answers that are close."""
    if type(left) is list:
        return max(map(_off, left, right), default=0.0)
    if type(left) is dict:
        return max((_off(left[key], right[key]) for key in left), default=0.0)
    return abs(left - right) if type(left) is float and math.isfinite(left) else 0.0


def _largest(answer: Any) -> float:
    """The largest finite number in an answer."""
    if type(answer) is list:
        return max(map(_largest, answer), default=0.0)
    if type(answer) is dict:
        return max(map(_largest, answer.values()), default=0.0)
    return abs(answer) if type(answer) is float and math.isfinite(answer) else 0.0


def close(left: Any, right: Any, *, absolute: float = ABSOLUTE_TOLERANCE, relative: float = RELATIVE_TOLERANCE) -> bool:
    """Whether two JSON answers are the same, floats within the tolerance."""
    if type(left) is not type(right):
        return False
    if type(left) is list:
        return len(left) == len(right) and all(
            close(one, other, absolute=absolute, relative=relative) for one, other in zip(left, right)
        )
    if type(left) is dict:
        return left.keys() == right.keys() and all(
            close(left[key], right[key], absolute=absolute, relative=relative) for key in left
        )
    if type(left) is float:
        return (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=relative, abs_tol=absolute)
    return bool(left == right)


class Trial:
    """One proof: rows asked alone, then together in many ways. `predict` gives a JSON-ready result."""

    def __init__(self, plan: Any, predict: Any, *, rounds: bool = False, behind: Any = None) -> None:
        """`behind` gives the numbers behind the labels that `predict` gives, a list a row; None where it has none."""
        self._plan = plan
        self._predict = predict
        self._behind = behind
        self._compare = Comparison(plan, predict, rounds=rounds)
        self._dice = random.Random("headrace")
        self._rows: list[Any] = []
        self._alone: list[Any] = []
        self._began = (0.0, 0.0)

    def verdict(self, candidates: Iterable[Any]) -> Verdict:
        """What may be merged, by rows of which the model may refuse some."""
        self._began = time.process_time(), time.monotonic()
        try:
            self._ask_alone(candidates, ROWS)
            if len(self._rows) < FEWEST_ROWS:
                return Verdict(False, f"only {len(self._rows)} rows to check merging with are answered")
            alike = made_rows.alike_in(self._plan, self._rows)
            if alike is not None:
                return Verdict(False, f"only one value of {alike} is known that it answers")
            most_rows = self._ask_together()
            if self._behind is not None and not any(isinstance(answer, (float, list, dict)) for answer in self._alone):
                self._ask_behind()
        except _Refuted as refuted:
            return Verdict(False, str(refuted), mixes=True)
        return Verdict(True, most_rows=most_rows, nulls=self._nulls())

    def tried(self, *, nulls: bool) -> tuple[list[Any], list[Any]]:
        """The rows of a proof that holds and their answers; without `nulls` those without nulls."""
        pairs = [(row, answer) for row, answer in zip(self._rows, self._alone) if nulls or not self._null(row)]
        return [row for row, _ in pairs], [answer for _, answer in pairs]

    def _null(self, row: Any) -> bool:
        return isinstance(self._plan, Columns) and None in row

    def _ask_alone(self, candidates: Iterable[Any], wanted: int) -> None:
        for tried, row in enumerate(candidates):
            if len(self._rows) >= wanted or tried >= MOST_TRIED:
                break
            if self._late() and (len(self._rows) >= FEWEST_ROWS or not self._rows):
                break
            try:
                answer = self._predict(self._plan.build([row]))
            except BaseException:
                continue
            if type(answer) is not list or len(answer) != 1:
                raise _Refuted("its result is not one item a row")
            self._rows.append(row)
            self._alone.append(answer[0])

    def _late(self) -> bool:
        cpu, clock = self._began
        return time.process_time() - cpu > _BUDGET_SECONDS or time.monotonic() - clock > _PATIENCE_SECONDS

    def _ask_together(self) -> int:
        """The most rows of a call that all gave what they gave alone."""
        every = list(range(len(self._rows)))
        self._call(every[:2])
        self._call(every[:3][::-1])
        twice = self._call([at for at in every for _ in range(2)])
        seconds = min(twice, self._call(every[::-1]), self._call(self._dice.sample(every, len(every))))
        self._ask_again(every[:2])
        longest, proven = self._longest(), len(every)
        for length in [*(length for length in _LENGTHS if proven < length < longest), longest]:
            if length <= proven:
                break
            expected = seconds * length / proven
            if self._late() or expected > (_LONG_SECONDS if length <= 256 else _LONGER_SECONDS):
                break
            seconds = self._call([self._dice.choice(every) for _ in range(length)])
            proven = length
        return proven

    def _ask_behind(self) -> None:
        """The numbers behind labels must not depend on other rows either: made rows may all have one label."""
        rows = self._rows[-_BEHIND:]
        try:
            alone = [self._behind(self._plan.build([row])) for row in rows]
        except BaseException:
            return  # it answers this by labels alone
        if any(type(one) is not list or len(one) != 1 for one in alone):
            return
        compare = Comparison(self._plan, self._behind)
        for order in (1, -1):
            try:
                together = self._behind(self._plan.build(rows[::order]))
                odd = compare.odd(rows[::order], together, [one for [one] in alone[::order]])
            except BaseException as error:
                raise _Refuted(f"a merged call fails ({type(error).__name__})") from error
            if odd is not None or len(together) != len(rows):
                raise _Refuted(DEPENDS)

    def _longest(self) -> int:
        width = len(self._plan.names) if isinstance(self._plan, Columns) else math.prod(self._plan.shape)
        return max(len(self._rows), min(MOST_ROWS, _MOST_NUMBERS // max(1, width)))

    def _call(self, places: list[int]) -> float:
        """Asks rows together and returns the CPU seconds it took."""
        rows = [self._rows[at] for at in places]
        begun = time.process_time()
        try:
            result = self._predict(self._plan.build(rows))
        except BaseException as error:
            self._ask_again(places[:3])
            raise _Refuted(f"a merged call fails ({type(error).__name__})") from error
        seconds = time.process_time() - begun
        if type(result) is not list or len(result) != len(rows):
            raise _Refuted("its result is not one item a row")
        odd = self._compare.odd(rows, result, [self._alone[at] for at in places])
        if odd is not None:
            self._ask_again([places[odd]])
            raise _Refuted(DEPENDS)
        return seconds

    def _ask_again(self, places: list[int]) -> None:
        for at in places:
            try:
                again = self._predict(self._plan.build([self._rows[at]]))
            except BaseException as error:
                raise _Refuted("it answers the same row differently from time to time") from error
            if not close(again, [self._alone[at]]):
                raise _Refuted("it answers the same row differently from time to time")

    def _nulls(self) -> bool:
        """Whether rows with nulls, too, are answered together as alone."""
        plan = self._plan
        if not isinstance(plan, Columns) or not plan.nulls:
            return False
        before = len(self._rows)
        wanted = made_rows.with_nulls(plan, self._rows)
        if not wanted:
            return True
        try:
            self._ask_alone(wanted, before + len(wanted))
            added = self._rows[before:]
            if made_rows.nulls_of(plan, added) != made_rows.nulls_of(plan, wanted):
                return False
            every = list(range(len(self._rows)))
            for _ in range(4):
                self._call(self._dice.sample(every, len(every)))
            self._call(every[::-1])
            self._call([0, before, 1, before])
        except _Refuted:
            return False
        return True
