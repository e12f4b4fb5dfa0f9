"""How two versions' answers to the same request differ: labels must be equal, numbers within a tolerance. Pure."""

import json
import math
from typing import Any, Final, NamedTuple

TOLERANCE: Final = 1e-4
"""Relative, and absolute near zero: float32 models whose sums are ordered otherwise differ by less."""
_ROWS: Final = ("predictions", "outputs")
"""Where MLflow's answers have their rows."""


class Difference(NamedTuple):
    """One prediction that is another one."""

    row: int
    """From 0."""
    old: Any
    new: Any


def compared(old: str, new: str) -> tuple[int, int]:
    """How many predictions were compared, and how many of them differ. Answers without rows are one prediction."""
    before, after = _predictions(old), _predictions(new)
    if len(before) != len(after):
        return max(len(before), 1), max(len(before), 1)
    return len(before), len(_differing(before, after))


def differences(old: str, new: str) -> list[Difference]:
    """The predictions that differ; of answers with other numbers of rows, the first row in which they do."""
    before, after = _predictions(old), _predictions(new)
    found = _differing(before, after)
    if len(before) == len(after):
        return found
    at = found[0].row if found else min(len(before), len(after))
    return [Difference(at, *(rows[at] if at < len(rows) else None for rows in (before, after)))]


def _differing(before: list[Any], after: list[Any]) -> list[Difference]:
    pairs = enumerate(zip(before, after, strict=False))
    return [Difference(row, old, new) for row, (old, new) in pairs if not _alike(old, new)]


def _predictions(answer: str) -> list[Any]:
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return [answer]
    if isinstance(document, dict):
        document = next((document[key] for key in _ROWS if key in document), document)
    return document if isinstance(document, list) and document else [document]


def _alike(old: Any, new: Any) -> bool:
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, int | float) and isinstance(new, int | float):
        return math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(old) and math.isnan(new))
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_alike, old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_alike(value, new[key]) for key, value in old.items())
    return bool(old == new)
