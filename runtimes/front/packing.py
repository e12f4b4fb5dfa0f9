"""Tables and tensors of numbers as raw doubles, so that a worker does not parse their JSON.

simdjson validates a body and writes its numbers straight to memory, without a Python object for each: a third of the
time of orjson and `struct`. The standard library, which is all a worker has, takes several times as long. What is not
certainly numbers for the model's columns, or of its tensor's shape, goes on as JSON, and so does everything where
simdjson is missing: it has no wheel for each Python that a model may have been trained with.
"""

import array
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

try:
    import simdjson
except ImportError:
    simdjson = None  # type: ignore[assignment]

PACKED: Final = "application/x-headrace-packed"
"""Content type between front and worker: rows of float64 in the signature's column order, or the items of a tensor, in
native byte order."""
_KEPT_BYTES: Final = 1024 * 1024
"""A parser keeps up to a dozen bytes for each of the longest body it has read: beyond this, one is made and dropped."""
_parser: Final = simdjson.Parser() if simdjson is not None else None


def packed(body: bytes, described: Mapping[str, Any]) -> bytes | None:
    """What goes to a worker that described its model so, instead of the JSON text; None where the text does."""
    if columns := described.get("packs"):
        return table(body, columns)
    if shape := described.get("packs_shape"):
        return tensor(body, shape)
    return None


def table(body: bytes, columns: Sequence[str]) -> bytes | None:
    """The rows of a `dataframe_split` request in the order of `columns`; None when it is anything else."""
    return _read(body, lambda document: _table(body, document, list(columns)))


def tensor(body: bytes, shape: Sequence[int]) -> bytes | None:
    """The numbers of an `inputs` request of items of this shape; None when it is anything else."""
    return _read(body, lambda document: _tensor(body, document, shape))


def _read(body: bytes, numbers: Callable[[Any], bytes | None]) -> bytes | None:
    if _parser is None:
        return None
    parser = _parser if len(body) <= _KEPT_BYTES else simdjson.Parser()
    try:
        document = parser.parse(body)
        return numbers(document) if type(document) is simdjson.Object else None
    except (ValueError, TypeError, RuntimeError):
        return None  # not JSON, or text, null, true, an object or a list where a number has to be


def _table(body: bytes, document: Any, columns: list[str]) -> bytes | None:
    if list(document) != ["dataframe_split"]:
        return None  # params and unknown keys are MLflow's business, and so is a key that comes twice
    split = document["dataframe_split"]
    if type(split) is not simdjson.Object or sorted(split) != ["columns", "data"]:
        return None
    listed, data = split["columns"], split["data"]
    if type(listed) is not simdjson.Array or type(data) is not simdjson.Array:
        return None
    named: list[Any] = listed.as_list()
    rows: list[Any] = list(data)
    if set(map(len, rows)) != {len(named)} or body.count(b"[") != 2 + len(rows):
        return None  # lists within a row would be flattened; a bracket in a name is one too many as well
    numbers = data.as_buffer(of_type="d")
    return bytes(numbers) if named == columns else _reordered(numbers, named, columns)


def _reordered(numbers: Any, named: list[Any], columns: list[str]) -> bytes | None:
    if set(map(type, named)) != {str} or len(set(named)) != len(named) or not set(columns) <= set(named):
        return None
    sent = array.array("d")
    sent.frombytes(numbers)
    ordered = array.array("d", bytes(sent.itemsize * (len(sent) // len(named)) * len(columns)))
    for at, name in enumerate(columns):
        ordered[at :: len(columns)] = sent[named.index(name) :: len(named)]
    return ordered.tobytes()


def _tensor(body: bytes, document: Any, shape: Sequence[int]) -> bytes | None:
    if list(document) != ["inputs"]:
        return None
    inputs = document["inputs"]
    if type(inputs) is not simdjson.Array:
        return None
    rows: list[Any] = list(inputs)
    lists = 1
    for depth, length in enumerate(shape, 1):
        lists += len(rows)
        if length == 0 or set(map(len, rows)) != {length}:
            return None
        if depth < len(shape):
            rows = list(chain.from_iterable(rows))
    return bytes(inputs.as_buffer(of_type="d")) if body.count(b"[") == lists else None
