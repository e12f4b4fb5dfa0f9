"""Large tables and tensors of numbers as raw floats, so that a worker does not parse their JSON a second time.

orjson reads a body several times faster than the standard library, which is all a worker has; the front has read it
anyway to check it. What is not certainly numbers for the model's columns, or of its tensor's shape, goes on as JSON.

A row is packed by `struct`, which takes nothing but numbers and as many as it was told; true and false are numbers to
it, and are looked for where a body holds those words at all.
"""

import functools
import operator
import struct
from collections.abc import Iterable, Sequence
from itertools import chain, starmap
from typing import Any, Final

PACKED: Final = "application/x-headrace-packed"
"""Content type between front and worker: rows of float64 in the signature's column order, or the items of a tensor in
the floats that the worker asked for, in native byte order."""
WORTH_BYTES: Final = 1024
"""Smaller bodies are parsed by the worker in about the time that packing takes here."""


def may_hold_booleans(body: bytes) -> bool:
    """Whether a JSON text may hold true or false; some that hold null, or the words elsewhere, count as well.

    A table's numbers come last as a rule, and no number has a u or an s: single bytes are found ten times faster.
    """
    numbers = body.rfind(b'"') + 1
    if body.find(b"u", numbers) >= 0 or body.find(b"s", numbers) >= 0:
        return True
    return body.find(b"true", 0, numbers) >= 0 or body.find(b"false", 0, numbers) >= 0


def doubles(document: Any, columns: Sequence[str], *, booleans: bool = True) -> bytes | None:
    """The rows of a `dataframe_split` request as doubles; None when it is anything else.

    `booleans`: whether a value may be true or false, see `may_hold_booleans`.
    """
    if type(document) is not dict or len(document) != 1:
        return None  # params and unknown keys are MLflow's business
    split = document.get("dataframe_split")
    if type(split) is not dict or split.keys() != {"columns", "data"}:
        return None
    named, data = split["columns"], split["data"]
    if type(named) is not list or type(data) is not list or not data or set(map(type, data)) != {list}:
        return None
    if set(map(type, named)) != {str} or len(set(named)) != len(named):
        return None
    rows: Any = data
    if named != list(columns):
        if not set(columns) <= set(named) or len(columns) < 2 or set(map(len, data)) != {len(named)}:
            return None
        rows = list(map(operator.itemgetter(*[named.index(name) for name in columns]), data))
    return _packed(rows, len(columns), booleans, "d")


def tensor(document: Any, shape: Sequence[int], *, kind: str = "d", booleans: bool = True) -> bytes | None:
    """The numbers of an `inputs` request of items of this shape; None when it is anything else.

    `kind`: `d` for doubles, `f` for singles, rounded as C and numpy round them. `booleans`: as above.
    """
    if type(document) is not dict or len(document) != 1 or not shape:
        return None
    level = document.get("inputs")
    if type(level) is not list or not level:
        return None
    for length in shape[:-1]:
        if set(map(type, level)) != {list} or set(map(len, level)) != {length}:
            return None
        level = list(chain.from_iterable(level))
    if set(map(type, level)) != {list}:
        return None
    return _packed(level, shape[-1], booleans, kind)


def _packed(rows: Iterable[Sequence[Any]], length: int, booleans: bool, kind: str) -> bytes | None:
    """Rows of `length` numbers; None when they are not."""
    if length == 0 or (booleans and bool in set(map(type, chain.from_iterable(rows)))):
        return None
    try:
        return b"".join(starmap(_row(length, kind).pack, rows))
    except (struct.error, OverflowError):
        return None  # null, text and lists, a row of another length, a number beyond a double


@functools.lru_cache(maxsize=64)
def _row(length: int, kind: str) -> struct.Struct:
    return struct.Struct(f"{length}{kind}")
