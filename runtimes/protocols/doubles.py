"""Inputs of doubles alone, all of one shape of one or two dimensions, read at once: what most requests are. Pure.

Everything else, every fault included, is None here and is read input by input: `open_inference`, `inference_messages`.
"""

import array
import math
import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

DATATYPE: Final = "FP64"
_BYTES: Final = 8
_NUMBERS: Final = frozenset((int, float))
_JSON_KEYS: Final = frozenset(("name", "datatype", "shape", "data"))
_BINARY_KEYS: Final = frozenset(("name", "datatype", "shape", "parameters"))


class Doubles(NamedTuple):
    """The inputs of one request."""

    names: list[str]
    shape: tuple[int, ...]
    """Of each of them."""
    values: "array.array[float]"
    """All elements, finite, one input after the other."""


def of_document(document: Any, raw: bytes) -> Doubles | None:
    """The inputs of a JSON document and the binary tensors that follow it."""
    inputs = document.get("inputs") if type(document) is dict else None
    if type(inputs) is not list or not inputs or set(map(type, inputs)) != {dict}:
        return None
    wanted = _BINARY_KEYS if raw else _JSON_KEYS
    if not all(one.keys() == wanted for one in inputs):
        return None
    shapes = [one["shape"] for one in inputs]
    if set(map(type, shapes)) != {list} or set(map(type, chain.from_iterable(shapes))) != {int}:
        return None
    names, count = _described(shapes, [one["name"] for one in inputs])
    if not count or not all(one["datatype"] == DATATYPE for one in inputs):
        return None
    if raw:
        size = _BYTES * count
        if len(raw) != size * len(inputs) or not all(_binary(one["parameters"], size) for one in inputs):
            return None
        return _finite(names, shapes[0], _little(raw))
    data = [one["data"] for one in inputs]
    if set(map(type, data)) != {list} or set(map(len, data)) != {count}:
        return None
    values = list(chain.from_iterable(data))
    return _finite(names, shapes[0], array.array("d", values)) if set(map(type, values)) <= _NUMBERS else None


def of_message(message: Any) -> Doubles | None:
    """The inputs of a ModelInferRequest: raw, or in typed contents."""
    inputs = list(message.inputs)
    shapes = [list(one.shape) for one in inputs]
    if not inputs or not all(one.datatype == DATATYPE for one in inputs):
        return None
    names, count = _described(shapes, [one.name for one in inputs])
    if not count:
        return None
    raw = list(message.raw_input_contents)
    if raw:
        if len(raw) != len(inputs) or set(map(len, raw)) != {_BYTES * count}:
            return None
        if any(one.HasField("contents") for one in inputs):
            return None
        return _finite(names, shapes[0], _little(b"".join(raw)))
    values = array.array("d")
    for one in inputs:
        contents = one.contents
        if len(contents.fp64_contents) != count or len(contents.ListFields()) != 1:
            return None
        values.extend(contents.fp64_contents)
    return _finite(names, shapes[0], values)


def _described(shapes: Sequence[Sequence[int]], names: list[Any]) -> tuple[list[str], int]:
    """Names, and elements of each input; 0 where shapes differ or hold nothing, or names are missing or come twice."""
    shape = shapes[0]
    if not shape or len(shape) > 2 or min(shape) < 1 or any(other != shape for other in shapes):
        return names, 0
    if set(map(type, names)) != {str} or len(set(names)) != len(names) or "" in names:
        return names, 0
    return names, math.prod(shape)


def _binary(parameters: Any, size: int) -> bool:
    """Whether an input says that so many bytes are its own, and nothing else."""
    if type(parameters) is not dict or len(parameters) != 1:
        return False
    said = parameters.get("binary_data_size")
    return type(said) is int and said == size


def _little(raw: bytes) -> "array.array[float]":
    values = array.array("d", raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _finite(names: list[str], shape: Sequence[int], values: "array.array[float]") -> Doubles | None:
    # Numbers so large that their sum is infinite are left alone too.
    return Doubles(names, tuple(shape), values) if math.isfinite(sum(values)) else None
