"""Rows to try a model with, made of its signature and of its own example, so that no column is alike in all of them.

They come in grades: the example's own; near to it, as callers may send; far from it, with texts of the example only;
and far with any text. What a model does not take, the trial drops. The same rows are made in every process.
"""

from __future__ import annotations

# ruff: noqa: B905 -- zip(strict=) came with Python 3.10 and a model's Python may be older.
import math
import random
from collections.abc import Iterator
from typing import Any

from .columns import Columns
from .tensors import Tensor

MOST_EXAMPLES = 6
"""Rows taken of the example."""
GRADES = ("near", "far", "farthest")
_ROUNDS = 14
"""Rows made of each grade."""
_TEXTS = ("", "a", "b c", "é", "1", "true", "zz", "-2.5", "2026-01-31", "nan", "A" * 40)
_WHOLE = 0.25
"""Part of the made doubles that are whole numbers."""
_BOUNDS = {"long": 1 << 40, "integer": (1 << 31) - 1}


def made(plan: Any, example: list[Any], *, careful: bool) -> Iterator[Any]:
    """Rows for `plan`, a `Columns` or a `Tensor`, the most useful first.

    `careful`: whole numbers may be places in a table of the model's, and one beyond it can end a GPU's context. They
    stay between what the example has, and there are none without one.
    """
    if isinstance(plan, Columns):
        return _tables(plan, example, careful)
    return _items(plan, example, careful)


def with_nulls(plan: Columns, rows: list[Any]) -> list[Any]:
    """Copies of rows with nulls wherever the plan takes them: each column null in some and present in others."""
    places = [at for at, kind in enumerate(plan.types) if kind in ("double", "float")]
    if not places:
        return []
    half = (len(places) + 1) // 2
    patterns = [set(places[::2]), set(places[1::2]), set(places), set(places[:half]), set(places[half:]), {places[0]}]
    return [
        tuple(None if at in pattern else value for at, value in enumerate(rows[number % len(rows)]))
        for number, pattern in enumerate(patterns)
        if pattern
    ]


def nulls_of(plan: Columns, rows: list[Any]) -> set[int]:
    """Columns that are null in one of the rows."""
    return {at for row in rows for at, value in enumerate(row) if value is None} & set(range(len(plan.types)))


def alike_in(plan: Any, rows: list[Any]) -> str | None:
    """The name of a column that has one value in all rows; None when all vary."""
    if isinstance(plan, Columns):
        for name, values in zip(plan.names, zip(*rows)):
            if len(set(values)) < 2:
                return f"column '{name}'"
        return None
    return "the tensor" if len({plan.build([row]).tobytes() for row in rows}) < 2 else None


def _tables(plan: Columns, example: list[Any], careful: bool) -> Iterator[Any]:
    dice = random.Random("headrace")
    whole = [tuple(row) for row in example]
    rows = list(dict.fromkeys(row for row in whole if None not in row))
    yield from rows[:MOST_EXAMPLES]
    seen = [list(dict.fromkeys(row[at] for row in whole if row[at] is not None)) for at in range(len(plan.types))]
    if careful and any(kind in _BOUNDS and not values for kind, values in zip(plan.types, seen)):
        return
    for _ in range(_ROUNDS):
        for grade in GRADES:
            yield tuple(_value(dice, kind, values, grade, careful) for kind, values in zip(plan.types, seen))


def _value(dice: random.Random, kind: str, seen: list[Any], grade: str, careful: bool) -> Any:
    if kind == "boolean":
        return dice.random() < 0.5
    if kind == "string":
        return dice.choice((*seen, *_TEXTS) if grade == "farthest" or not seen else seen)
    if kind in _BOUNDS:
        base = dice.choice(seen) if seen else dice.randint(-5, 5)
        if careful:
            return dice.choice((*seen, dice.randint(0, max(seen)))) if min(seen) >= 0 else base
        if grade == "near":
            return _bounded(base + dice.choice((-1, 0, 1, 2)), kind)
        return _bounded(dice.choice((0, 1, -1, 7, 100, -100, base, 3 * base, -2 * base, base + 50)), kind)
    base = float(dice.choice(seen)) if seen else dice.gauss(0.0, 1.0)
    if grade == "near":
        value = base * dice.uniform(0.5, 1.5) if base else dice.uniform(-1.0, 1.0)
    else:
        size = max(abs(base), 1.0)
        value = dice.choice((0.0, base, -base, 10 * base, dice.gauss(0.0, size), -100 * size, 1000 * size))
        value += dice.random()
    return float(round(value)) if dice.random() < _WHOLE and math.isfinite(value) else value


def _bounded(value: int, kind: str) -> int:
    return max(-_BOUNDS[kind], min(_BOUNDS[kind], value))


def _items(plan: Tensor, example: list[Any], careful: bool) -> Iterator[Any]:
    numpy = plan.numpy
    dice = numpy.random.RandomState(0)
    seen = [numpy.asarray(item, dtype=plan.dtype) for item in example[:MOST_EXAMPLES]]
    yield from seen
    if plan.dtype.kind == "f":
        bases = [item.astype(numpy.float64) for item in seen] or [dice.normal(size=plan.shape) for _ in range(2)]
        for number in range(_ROUNDS):
            base = bases[number % len(bases)]
            size = float(numpy.abs(base[numpy.isfinite(base)]).max(initial=0.0))
            size = size if size > 0 else 1.0
            yield base * dice.uniform(0.5, 1.5, plan.shape) + 0.1 * size * dice.normal(size=plan.shape)
            yield size * dice.normal(size=plan.shape)
            yield dice.choice((-3.0, 5.0, 100.0)) * size * dice.uniform(size=plan.shape)
        return
    known = numpy.unique(numpy.concatenate([item.ravel() for item in seen])) if seen else numpy.arange(0)
    bounds = numpy.iinfo(plan.dtype)
    lowest, highest = (int(known.min()), int(known.max())) if len(known) else (0, 10)
    if careful and not len(known):
        return
    if careful:
        values = numpy.arange(0, highest + 1) if lowest >= 0 and highest < 1 << 16 else known
    else:
        values = numpy.arange(max(bounds.min, lowest - 10), min(bounds.max, lowest + (1 << 12), highest + 10) + 1)
    for _ in range(_ROUNDS):
        yield dice.choice(values, size=plan.shape).astype(plan.dtype)
