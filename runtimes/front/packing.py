"""Tables and tensors of numbers as raw doubles, so that a worker does not parse their JSON.

simdjson validates a body and writes its numbers straight to memory, without a Python object for each, in much less
time than orjson and an array. The standard library, which is all a worker has, takes several times as long. What is not
certainly numbers for the model's columns, or of its tensor's shape, goes on as JSON.

simdjson has no wheel for each Python that a model may have been trained with; there orjson reads the same.
"""

import array
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Protocol

import orjson

try:
    import simdjson
except ImportError:
    simdjson = None  # type: ignore[assignment]

PACKED: Final = "application/x-headrace-packed"
"""Content type between front and worker: rows of float64 in the signature's column order, or the items of a tensor, in
native byte order."""
_KEPT_BYTES: Final = 1024 * 1024
"""A parser keeps up to a dozen bytes for each of the longest body it has read (8 of simdjson's tape, 4 of its index):
for longer bodies one is made and dropped."""


class Reader(Protocol):
    """A parser, and what its documents are made of. ValueError, TypeError or RuntimeError: not JSON, not numbers."""

    mapping: Any
    sequence: Any

    def parse(self, body: bytes) -> Any:
        """The document."""

    def doubles(self, numbers: Any, rows: list[Any]) -> bytes:
        """All numbers of a list whose innermost lists are `rows`, in order."""


class Simdjson:
    """Without a Python object a number."""

    def __init__(self) -> None:
        self.mapping: Any = simdjson.Object
        self.sequence: Any = simdjson.Array
        self._parser = simdjson.Parser()

    def parse(self, body: bytes) -> Any:
        """The document, which the next one may follow when nothing refers to it any more."""
        return (self._parser if len(body) <= _KEPT_BYTES else simdjson.Parser()).parse(body)

    def doubles(self, numbers: Any, rows: list[Any]) -> bytes:
        """As simdjson flattens the list."""
        del rows
        return bytes(numbers.as_buffer(of_type="d"))


class Orjson:
    """With a Python object a number."""

    mapping: Any = dict
    sequence: Any = list

    def parse(self, body: bytes) -> Any:
        """The document."""
        return orjson.loads(body)

    def doubles(self, numbers: Any, rows: list[Any]) -> bytes:
        """One row after the other."""
        del numbers
        flat = list(chain.from_iterable(rows))
        if not set(map(type, flat)) <= {int, float}:
            raise TypeError("true and false are numbers to an array, and not to JSON")
        return array.array("d", flat).tobytes()


_reader: Reader = Simdjson() if simdjson is not None else Orjson()


def packed(body: bytes, described: Mapping[str, Any]) -> bytes | None:
    """What goes to a worker that described its model so, instead of the JSON text; None where the text does."""
    if columns := described.get("packs"):
        return table(body, columns)
    if shape := described.get("packs_shape"):
        return tensor(body, shape)
    return None


def table(body: bytes, columns: Sequence[str]) -> bytes | None:
    """The rows of a `dataframe_split` request in the order of `columns`; None when it is anything else."""
    if b'"dataframe_split"' not in body:
        return None  # whatever it is, it is parsed once, by who words refusals
    return _read(body, lambda document: _table(body, document, list(columns)))


def tensor(body: bytes, shape: Sequence[int]) -> bytes | None:
    """The numbers of an `inputs` request of items of this shape; None when it is anything else."""
    if b'"inputs"' not in body:
        return None
    return _read(body, lambda document: _tensor(body, document, shape))


def _read(body: bytes, numbers: Callable[[Any], bytes | None]) -> bytes | None:
    try:
        document = _reader.parse(body)
        return numbers(document) if type(document) is _reader.mapping else None
    except (ValueError, TypeError, RuntimeError):
        return None  # not JSON, or text, null, true, an object or a list where a number has to be


def _table(body: bytes, document: Any, columns: list[str]) -> bytes | None:
    if list(document) != ["dataframe_split"]:
        return None  # params and unknown keys are MLflow's business, and so is a key that comes twice
    split = document["dataframe_split"]
    if type(split) is not _reader.mapping or sorted(split) != ["columns", "data"]:
        return None
    listed, data = split["columns"], split["data"]
    if type(listed) is not _reader.sequence or type(data) is not _reader.sequence:
        return None
    named: list[Any] = list(listed)
    rows: list[Any] = list(data)
    if set(map(len, rows)) != {len(named)} or body.count(b"[") != 2 + len(rows):
        return None  # lists within a row would be flattened; a bracket in a name is one too many as well
    numbers = _reader.doubles(data, rows)
    return numbers if named == columns else _reordered(numbers, named, columns)


def _reordered(numbers: bytes, named: list[Any], columns: list[str]) -> bytes | None:
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
    if type(inputs) is not _reader.sequence:
        return None
    rows: list[Any] = list(inputs)
    lists = 1
    for depth, length in enumerate(shape, 1):
        lists += len(rows)
        if length == 0 or set(map(len, rows)) != {length}:
            return None
        if depth < len(shape):
            rows = list(chain.from_iterable(rows))
    return _reader.doubles(inputs, rows) if body.count(b"[") == lists else None
