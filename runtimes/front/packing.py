"""Large tables and tensors of numbers as raw doubles, so that a worker does not parse their JSON a second time.

orjson reads a body several times faster than the standard library, which is all a worker has; the front has read it
anyway to check it. What is not certainly numbers for the model's columns, or of its tensor's shape, goes on as JSON.
"""

import array
import operator
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

DOUBLES: Final = "application/x-headrace-doubles"
"""Content type between front and worker: rows of float64 in the signature's column order, in native byte order."""
WORTH_BYTES: Final = 1024
"""Smaller bodies are parsed by the worker in about the time that packing takes here (4 KiB: 137 and 30 µs)."""
_NUMBERS: Final = frozenset((float, int))


def doubles(document: Any, columns: Sequence[str]) -> bytes | None:
    """The rows of a `dataframe_split` request as doubles; None when it is anything else."""
    if type(document) is not dict or len(document) != 1:
        return None  # params and unknown keys are MLflow's business
    split = document.get("dataframe_split")
    if type(split) is not dict or split.keys() != {"columns", "data"}:
        return None
    named, data = split["columns"], split["data"]
    if type(named) is not list or type(data) is not list or not data or set(map(type, data)) != {list}:
        return None
    if set(map(len, data)) != {len(named)} or set(map(type, named)) != {str} or len(set(named)) != len(named):
        return None
    rows: Any = data
    if named != list(columns):
        if not set(columns) <= set(named) or len(columns) < 2:
            return None
        rows = list(map(operator.itemgetter(*[named.index(name) for name in columns]), data))
    if not set(map(type, chain.from_iterable(rows))) <= _NUMBERS:
        return None  # null, text, true and lists
    try:
        return array.array("d", chain.from_iterable(rows)).tobytes()
    except OverflowError:
        return None


def tensor(document: Any, shape: Sequence[int]) -> bytes | None:
    """The numbers of an `inputs` request of items of this shape as doubles; None when it is anything else."""
    if type(document) is not dict or len(document) != 1:
        return None
    level = document.get("inputs")
    if type(level) is not list or not level:
        return None
    for length in shape:
        if set(map(type, level)) != {list} or set(map(len, level)) != {length}:
            return None
        level = list(chain.from_iterable(level))
    if not set(map(type, level)) <= _NUMBERS or not level:
        return None
    try:
        return array.array("d", level).tobytes()
    except OverflowError:
        return None
