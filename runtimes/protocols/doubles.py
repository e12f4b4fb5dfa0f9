"""Inputs of doubles alone, all of one shape of one or two dimensions, read at once: what most requests are. Pure.

Everything else, every fault included, is None here and is read input by input: `open_inference`, `inference_messages`.
"""

import array
import math
import sys
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple

DATATYPE: Final = "FP64"
_BYTES: Final = 8
_NUMBERS: Final = frozenset((int, float))
_Values = tuple[Any, ...]
_JSON: Final[Callable[[Any], _Values]] = itemgetter("name", "datatype", "shape", "data")
_BINARY: Final[Callable[[Any], _Values]] = itemgetter("name", "datatype", "shape", "parameters")


class Doubles(NamedTuple):
    """The inputs of one request."""

    names: list[str]
    shape: tuple[int, ...]
    """Of each of them."""
    values: "array.array[float]"
    """All elements, finite, one input after the other."""


class Header(NamedTuple):
    """What a request says of its inputs beside their elements."""

    names: list[str]
    shape: tuple[int, ...]
    """Of each of them."""
    size: int
    """Bytes of their elements."""


def of_header(document: Any, *, binary: bool) -> Header | None:
    """What a JSON document says whose inputs are all binary tensors that follow it; or whose data are all left out."""
    columns = _columns(document, _BINARY if binary else _JSON)
    if columns is None:
        return None
    names, datatypes, shapes, held = columns
    shape = _shape(names, datatypes, shapes)
    if shape is None:
        return None
    size = _BYTES * math.prod(shape)
    plain = all(_binary(one, size) for one in held) if binary else all(one == [] for one in held)
    return Header(list(names), shape, size * len(names)) if plain else None


def of_lists(names: list[str], shape: tuple[int, ...], data: Sequence[Any]) -> Doubles | None:
    """Inputs of these names, each of this shape, whose elements are lists of numbers."""
    if set(map(type, data)) != {list} or set(map(len, data)) != {math.prod(shape)}:
        return None
    values = list(chain.from_iterable(data))
    return _finite(names, shape, array.array("d", values)) if set(map(type, values)) <= _NUMBERS else None


def of_message(message: Any) -> Doubles | None:
    """The inputs of a ModelInferRequest: raw, or in typed contents."""
    inputs = list(message.inputs)
    if not inputs:
        return None
    names = [one.name for one in inputs]
    shape = _shape(names, [one.datatype for one in inputs], [list(one.shape) for one in inputs])
    if shape is None:
        return None
    count = math.prod(shape)
    raw = list(message.raw_input_contents)
    if raw:
        if len(raw) != len(inputs) or set(map(len, raw)) != {_BYTES * count}:
            return None
        if any(one.HasField("contents") for one in inputs):
            return None
        return of_bytes(names, shape, b"".join(raw))
    values = array.array("d")
    for one in inputs:
        contents = one.contents
        if len(contents.fp64_contents) != count or len(contents.ListFields()) != 1:
            return None
        values.extend(contents.fp64_contents)
    return _finite(names, shape, values)


def of_bytes(names: list[str], shape: tuple[int, ...], data: bytes) -> Doubles | None:
    """Inputs of these names, each of this shape, whose elements are little-endian doubles."""
    values = array.array("d", data)
    if sys.byteorder == "big":
        values.byteswap()
    return _finite(names, shape, values)


def to_bytes(values: "array.array[float]") -> bytes:
    """Elements as little-endian doubles."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _columns(document: Any, values: Callable[[Any], _Values]) -> Sequence[_Values] | None:
    """The values of each of four keys for all inputs; None where an input has other keys."""
    inputs = document.get("inputs") if type(document) is dict else None
    if type(inputs) is not list or set(map(type, inputs)) != {dict} or set(map(len, inputs)) != {4}:
        return None
    try:
        return list(zip(*map(values, inputs), strict=True))
    except KeyError:
        return None


def _shape(names: Sequence[Any], datatypes: Sequence[Any], shapes: Sequence[Any]) -> tuple[int, ...] | None:
    """The shape of each input; None unless all have the same, and doubles, and a name of their own."""
    if datatypes.count(DATATYPE) != len(datatypes) or set(map(type, shapes)) != {list}:
        return None
    first = shapes[0]
    if shapes.count(first) != len(shapes) or set(map(type, chain.from_iterable(shapes))) != {int}:
        return None  # [1, 1] equals [1.0, True]
    if len(first) > 2 or min(first) < 1:
        return None
    if set(map(type, names)) != {str} or len(set(names)) != len(names) or "" in names:
        return None
    return tuple(first)


def _binary(parameters: Any, size: int) -> bool:
    """Whether an input says that so many bytes are its own, and nothing else."""
    if type(parameters) is not dict or len(parameters) != 1:
        return False
    said = parameters.get("binary_data_size")
    return type(said) is int and said == size


def _finite(names: list[str], shape: tuple[int, ...], values: "array.array[float]") -> Doubles | None:
    # Numbers so large that their sum is infinite are left alone too.
    return Doubles(names, shape, values) if math.isfinite(sum(values)) else None
