"""Kinds of values that were tried beside others and changed no answer: only these are put into one call.

A model can look at its batch in a case that no proof has made: fill in what is -999, take logarithms of what is above
zero, tell types from whole numbers, join what is a number. So each column has bounds, which grow by powers of two,
and says whether it had whole numbers, others and zeros; a column of texts has the texts themselves or, when they
are many, their shapes. Nulls are proven by themselves.
"""

from __future__ import annotations

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.
from itertools import chain
from typing import Any

from .columns import Columns

MOST_TEXTS = 128
"""Texts of a column known one by one; of further ones, the shapes."""


class Kinds:
    """What is known to be harmless, column by column; a tensor is one column."""

    def __init__(self, plan: Any, numpy: Any) -> None:
        self._numpy = numpy
        types = plan.types if isinstance(plan, Columns) else []
        self._mixed = len(set(types)) > 1 or bool({"boolean", "string"}.intersection(types))
        self._places = [at for at, kind in enumerate(types) if kind != "string"] if types else [0]
        self._texts: dict[int, set[str]] = {at: set() for at, kind in enumerate(types) if kind == "string"}
        self._shapes: dict[int, set[Any]] = {at: set() for at in self._texts}
        width = len(self._places)
        self._low, self._high = numpy.full(width, numpy.inf), numpy.full(width, -numpy.inf)
        self._had = numpy.zeros((3, width), dtype=bool)
        """Whether a column had zeros, other whole numbers, and numbers that are not whole; or cannot have them."""
        for place, at in enumerate(self._places):
            self._had[2, place] = types[at] not in ("double", "float") if types else plan.dtype.kind != "f"

    def odd(self, tables: list[Any], data: Any) -> list[int]:
        """The rows that hold a value of a kind that is not known, of all rows of tables and the input they make."""
        found: set[int] = set()
        rows = list(chain.from_iterable(tables)) if self._mixed else []
        numbers = self._numbers(rows, data)
        if numbers is not None:
            with self._numpy.errstate(invalid="ignore"):
                beyond = (numbers < self._low) | (numbers > self._high)
                if not self._had.all():
                    for had, there in zip(self._had, self._sorts(numbers)):
                        beyond |= there & ~had
            if beyond.any():
                found.update(self._numpy.flatnonzero(beyond.any(axis=1)).tolist())
        for at, known in self._texts.items():
            texts = [row[at] for row in rows]
            if not known.issuperset(texts):
                few, shapes = len(known) < MOST_TEXTS, self._shapes[at]
                found.update(
                    place
                    for place, text in enumerate(texts)
                    if text not in known and (few or _shape(text) not in shapes)
                )
        return sorted(found)

    def know(self, tables: list[Any], data: Any) -> None:
        """Takes up the kinds of rows that were tried."""
        rows = list(chain.from_iterable(tables)) if self._mixed else []
        numpy, numbers = self._numpy, self._numbers(rows, data)
        if numbers is not None:
            numbers = numbers.reshape(-1, len(self._places))
            self._had |= numpy.array([there.any(axis=0) for there in self._sorts(numbers)])
            with numpy.errstate(over="ignore"):
                self._low = numpy.fmin(self._low, -self._outward(-numpy.fmin.reduce(numbers)))
                self._high = numpy.fmax(self._high, self._outward(numpy.fmax.reduce(numbers)))
        for at, known in self._texts.items():
            texts = {row[at] for row in rows}
            self._shapes[at].update(map(_shape, texts))
            known.update(sorted(texts)[: max(0, MOST_TEXTS - len(known))])

    def _numbers(self, rows: list[Any], data: Any) -> Any:
        """An array of one line a row; None where there are no numbers."""
        numpy = self._numpy
        if self._mixed:
            lines = [[row[at] for at in self._places] for row in rows]
            return numpy.array(lines, dtype=numpy.float64) if self._places else None
        return data.reshape(len(data), -1) if isinstance(data, numpy.ndarray) else data.to_numpy()

    def _sorts(self, numbers: Any) -> tuple[Any, Any, Any]:
        zero, whole = numbers == 0, numbers == self._numpy.rint(numbers)
        return zero, whole & ~zero, ~whole & ~self._numpy.isnan(numbers)

    def _outward(self, highest: Any) -> Any:
        """The power of two above a number, or the negative one."""
        _, exponent = self._numpy.frexp(highest)
        above = self._numpy.ldexp(1.0, exponent - (highest < 0))
        return self._numpy.where(highest == 0, 0.0, self._numpy.copysign(above, highest))


def _shape(text: str) -> tuple[Any, ...]:
    return len(text).bit_length(), text.isascii(), text.isdigit(), text.isalpha(), text.islower(), text.isupper()
