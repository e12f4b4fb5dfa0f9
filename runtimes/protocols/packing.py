"""Tables and tensors of numbers as raw doubles, so that a worker does not parse their JSON.

Every form that holds nothing but numbers for the model's columns, or for its tensor's shape, is packed; what is not
certainly that goes on as JSON. The standard library, which is all a worker has, takes several times as long for it as
orjson and an array do here. Of a long body simdjson writes the numbers straight to memory, without a Python object for
each; it has no wheel for each Python that a model may have been trained with, and there orjson reads long bodies too.

Rows that their caller has named by whole numbers (`index`) are packed with these labels.
"""

import array
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from headrace.runtimes.protocols.doubles import Doubles
from headrace.runtimes.protocols.open_inference import Tensor
from headrace.runtimes.worker.layout import Layout, form_of

try:
    import simdjson
except ImportError:
    simdjson = None  # type: ignore[assignment]

PACKED: Final = "application/x-headrace-packed"
"""Content type between front and worker: rows of float64 in the signature's column order, or the items of a tensor, in
native byte order."""
LABELLED: Final = "application/x-headrace-packed-labelled"
"""The same of a table, followed by an int64 for each row: its label."""
LONG_BYTES: Final = 2048
"""From here on, starting simdjson costs less than Python's numbers do."""
_KEPT_BYTES: Final = 1024 * 1024
"""A parser keeps up to a dozen bytes for each of the longest body it has read (8 of simdjson's tape, 4 of its index):
for longer bodies one is made and dropped."""
_NUMBERS: Final = frozenset((int, float))


class Packed(NamedTuple):
    """A request as a worker gets it instead of its text."""

    content_type: str
    body: bytes


class Packer:
    """Packs for a model that a worker described so: `packs` or `packs_shape`, `fast_forms` and `labels`."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.columns: list[str] = list(described.get("packs") or ())
        """Names of the columns of a model that takes a table of numbers."""
        self.shape: list[int] = list(described.get("packs_shape") or ())
        """Of one item of a model that takes a tensor of numbers."""
        self._layout = Layout(self.columns) if self.columns else None
        self._forms = frozenset(described.get("fast_forms") or ()) if self.columns or self.shape else frozenset()
        self._labels = bool(described.get("labels"))
        self._parser = simdjson.Parser() if simdjson is not None else None

    def document(self, document: Any) -> Packed | None:
        """What a parsed request holds, if that is numbers alone."""
        if self._layout is not None and "dataframe_split" in self._forms:
            plain = self._layout.plain_rows(document)
            if plain is not None:
                return self._rows(plain, ())
        form = form_of(document) if self._forms else None
        if form is None or form not in self._forms:
            return None
        if self._layout is None:
            return _whole(document[form], self.shape)
        rows = self._layout.rows(form, document)
        labels = self._layout.labels(form, document) if rows is not None else None
        return None if rows is None or labels is None else self._rows(rows, labels)

    def _rows(self, rows: Sequence[Sequence[Any]], labels: Sequence[Any]) -> Packed | None:
        doubles = _doubles(chain.from_iterable(rows) if len(rows) > 1 else rows[0])
        if doubles is None or not labels:
            return None if doubles is None else Packed(PACKED, doubles)
        if not self._labels or set(map(type, labels)) != {int}:
            return None
        return Packed(LABELLED, doubles + array.array("q", labels).tobytes())

    def tensors(self, inputs: Sequence[Tensor]) -> Packed | None:
        """What the inputs of an inference request hold, if that is finite numbers alone, one row or more of them.

        One input has all columns, or is the one tensor that the model takes; or there is one for each column.
        """
        if not (self.columns or self.shape) or not _finite(inputs):
            return None
        first = inputs[0]
        if not self.columns:
            whole = len(inputs) == 1 and list(first.shape[1:]) == self.shape
            return Packed(PACKED, array.array("d", first.values).tobytes()) if whole else None
        width, count = len(self.columns), first.shape[0]
        if len(inputs) == 1 and len(first.shape) == 2 and (first.name not in self.columns or first.shape[1] != 1):
            return Packed(PACKED, array.array("d", first.values).tobytes()) if first.shape[1] == width else None
        named = {tensor.name: tensor.values for tensor in inputs if tensor.shape in ((count,), (count, 1))}
        if len(named) != len(inputs) or not named.keys() >= set(self.columns):
            return None
        rows = zip(*[named[name] for name in self.columns], strict=True)
        return Packed(PACKED, array.array("d", list(chain.from_iterable(rows))).tobytes())

    def doubles(self, inputs: Doubles) -> bytes | None:
        """The same of inputs that were read at once."""
        (first, *others), shape, values = inputs
        if not self.columns:
            whole = self.shape and not others and list(shape[1:]) == self.shape
            return values.tobytes() if whole else None
        width, count = len(self.columns), shape[0]
        if not others and len(shape) == 2 and (first not in self.columns or shape[1] != 1):
            return values.tobytes() if shape[1] == width else None
        if shape not in ((count,), (count, 1)) or not set(self.columns) <= set(inputs.names):
            return None
        if count < width and inputs.names == self.columns:
            return values.tobytes() if count == 1 else b"".join([values[at::count].tobytes() for at in range(count)])
        ordered = array.array("d", bytes(8 * width * count))
        for at, name in enumerate(self.columns):
            begin = inputs.names.index(name) * count
            ordered[at::width] = values[begin : begin + count]
        return ordered.tobytes()

    def text(self, body: bytes) -> Packed | None:
        """What a long request holds, if it is a `dataframe_split` or `inputs` of numbers; else it is to be parsed."""
        if self._parser is None or len(body) < LONG_BYTES:
            return None
        if self.columns and "dataframe_split" in self._forms and b'"dataframe_split"' in body:
            return self._read(body, self._split)
        if self.shape and "inputs" in self._forms and b'"inputs"' in body:
            return self._read(body, self._inputs)
        return None

    def _read(self, body: bytes, numbers: Callable[[bytes, Any], Packed | None]) -> Packed | None:
        try:
            document = (self._parser if len(body) <= _KEPT_BYTES else simdjson.Parser()).parse(body)
            return numbers(body, document) if type(document) is simdjson.Object else None
        except (ValueError, TypeError, RuntimeError):
            return None  # not JSON, or text, null, true, an object or a list where a number has to be

    def _split(self, body: bytes, document: Any) -> Packed | None:
        if list(document) != ["dataframe_split"]:
            return None  # params and unknown keys are MLflow's business, and so is a key that comes twice
        split = document["dataframe_split"]
        if type(split) is not simdjson.Object or sorted(split) not in (
            ["columns", "data"],
            ["columns", "data", "index"],
        ):
            return None
        listed, data = split["columns"], split["data"]
        labels = split.get("index")
        if type(listed) is not simdjson.Array or type(data) is not simdjson.Array:
            return None
        named: list[Any] = list(listed)
        count = len(data)
        rows: list[Any] = list(data)
        if set(map(len, rows)) != {len(named)} or body.count(b"[") != 2 + count + (labels is not None):
            return None  # lists within a row would be flattened; a bracket in a name is one too many as well
        numbers = bytes(data.as_buffer(of_type="d"))
        doubles = numbers if named == self.columns else _reordered(numbers, named, self.columns)
        if doubles is None or labels is None:
            return None if doubles is None else Packed(PACKED, doubles)
        if not self._labels or type(labels) is not simdjson.Array or len(labels) != count:
            return None
        return Packed(LABELLED, doubles + bytes(labels.as_buffer(of_type="i")))

    def _inputs(self, body: bytes, document: Any) -> Packed | None:
        if list(document) != ["inputs"]:
            return None
        inputs = document["inputs"]
        if type(inputs) is not simdjson.Array:
            return None
        rows = _leaves(list(inputs), self.shape)
        if rows is None or body.count(b"[") != rows[1]:
            return None
        return Packed(PACKED, bytes(inputs.as_buffer(of_type="d")))


def _finite(inputs: Sequence[Tensor]) -> bool:
    """Whether all inputs certainly hold numbers, none of them infinite or missing."""
    for tensor in inputs:
        if not tensor.values or not set(map(type, tensor.values)) <= _NUMBERS:
            return False
        if not math.isfinite(sum(tensor.values)):  # of numbers so large as to sum up to infinity, neither
            return False
    return True


def _doubles(values: Any) -> bytes | None:
    """Numbers as raw doubles; None where one of them is none: true and false are numbers to an array, not to JSON."""
    flat = list(values)
    return array.array("d", flat).tobytes() if set(map(type, flat)) <= _NUMBERS else None


def _leaves(items: list[Any], shape: Sequence[int]) -> tuple[list[Any], int] | None:
    """The innermost lists of a tensor, and how many lists there are; None where it has another shape."""
    rows, lists = items, 1
    for depth, length in enumerate(shape, 1):
        lists += len(rows)
        if length == 0 or set(map(len, rows)) != {length}:
            return None
        if depth < len(shape):
            rows = list(chain.from_iterable(rows))
    return rows, lists


def _whole(items: Any, shape: Sequence[int]) -> Packed | None:
    """A tensor of numbers whose items have this shape, of at least one dimension."""
    level = items
    for length in shape:
        if type(level) is not list or set(map(type, level)) != {list} or set(map(len, level)) != {length}:
            return None
        level = list(chain.from_iterable(level))
    doubles = _doubles(level) if level else None
    return None if doubles is None else Packed(PACKED, doubles)


def _reordered(numbers: bytes, named: list[Any], columns: list[str]) -> bytes | None:
    if set(map(type, named)) != {str} or len(set(named)) != len(named) or not set(columns) <= set(named):
        return None
    sent = array.array("d")
    sent.frombytes(numbers)
    ordered = array.array("d", bytes(sent.itemsize * (len(sent) // len(named)) * len(columns)))
    for at, name in enumerate(columns):
        ordered[at :: len(columns)] = sent[named.index(name) :: len(named)]
    return ordered.tobytes()
