"""Tensors of the Open Inference Protocol: datatypes, JSON data and raw little-endian bytes. Pure; no numpy.

BYTES elements are a 4-byte length and the bytes; BOOL is one byte (Triton's binary tensor data extension).
"""

import array
import math
import struct
import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from headrace.contract.errors import InputError, PermanentError

_CODES: Final = {
    "UINT8": "B",
    "INT8": "b",
    "UINT16": "H",
    "INT16": "h",
    "UINT32": "I",
    "INT32": "i",
    "UINT64": "Q",
    "INT64": "q",
    "FP32": "f",
    "FP64": "d",
}
DATATYPES: Final = frozenset((*_CODES, "BOOL", "FP16", "BYTES"))
_SIZES: Final = {"BOOL": 1, "FP16": 2, **{name: array.array(code).itemsize for name, code in _CODES.items()}}
_BOUNDS: Final = {
    **{f"INT{bits}": (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
_LARGEST: Final = {"FP16": 65504.0, "FP32": 3.4028234663852886e38, "FP64": sys.float_info.max}
"""Beyond it, a number becomes infinite or cannot be written."""


def fault(message: str) -> InputError:
    """An error of the request."""
    return InputError("request", [message])


def from_bytes(datatype: str, count: int, data: bytes, place: str) -> list[Any]:
    """The elements of a raw tensor; InputError, naming its `place`, when the bytes do not hold exactly `count`."""
    if datatype == "BYTES":
        return _texts(count, data, place)
    size = _SIZES[datatype]
    if len(data) != count * size:
        raise fault(f"{place} has {len(data)} bytes, must be {count * size} for {count} elements of {datatype}")
    if datatype == "BOOL":
        return [byte != 0 for byte in data]
    if datatype == "FP16":
        return list(struct.unpack(f"<{count}e", data))
    values = array.array(_CODES[datatype], data)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()


def to_bytes(datatype: str, values: Sequence[Any]) -> bytes:
    """Raw little-endian bytes of the elements; null becomes NaN."""
    if datatype == "BYTES":
        parts = encoded(values)
        return b"".join(struct.pack("<I", len(part)) + part for part in parts)
    if datatype == "BOOL":
        return bytes(1 if value else 0 for value in values)
    if datatype in ("FP16", "FP32", "FP64"):
        values = [math.nan if value is None else value for value in values]
    if datatype == "FP16":
        return struct.pack(f"<{len(values)}e", *values)
    made = array.array(_CODES[datatype], values)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def encoded(values: Sequence[Any]) -> list[bytes]:
    """The elements of BYTES that a model answered. PermanentError where one is no Unicode, hence has no UTF-8."""
    try:
        return [value.encode() if isinstance(value, str) else str(value).encode() for value in values]
    except UnicodeEncodeError:
        raise PermanentError(
            "The model's result holds a text with a lone surrogate, which BYTES cannot carry; ask for it as JSON."
        ) from None


def flat(data: Any) -> list[Any]:
    """Elements of flat or nested lists in row-major order."""
    level = data
    while isinstance(level, list) and level and isinstance(level[0], list):
        if not all(isinstance(item, list) for item in level):
            raise fault("data mixes lists and values on one level")
        level = list(chain.from_iterable(level))
    return level if isinstance(level, list) else [level]


def nested(values: Sequence[Any], shape: Sequence[int]) -> Any:
    """Nested lists of the given shape."""
    made: list[Any] = list(values)
    for length in reversed(shape[1:]):
        made = [made[start : start + length] for start in range(0, len(made), length)] if length else []
    return made


def shape_of(data: Any) -> tuple[int, ...] | None:
    """Shape of nested lists; None when they are ragged."""
    shape: list[int] = []
    level: list[Any] = [data]
    while all(isinstance(item, list) for item in level) and level:
        lengths = {len(item) for item in level}
        if len(lengths) != 1:
            return None
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return None if any(isinstance(item, list) for item in level) else tuple(shape)


def datatype_of(values: Sequence[Any]) -> str:
    """The datatype that JSON values say by themselves."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool} and None not in values:
        return "BOOL"
    if kinds == {int} and None not in values:
        return next((name for name in ("INT64", "UINT64", "FP64") if holds(name, values)), "BYTES")
    return "FP64" if kinds <= {int, float} and holds("FP64", values) else "BYTES"


def holds(datatype: str, values: Sequence[Any]) -> bool:
    """Whether JSON numbers, truth values and nulls can travel as elements of that datatype."""
    kinds = set(map(type, values))
    if datatype == "BOOL" or bool in kinds:
        return datatype == "BOOL" and kinds <= {bool}
    if datatype.startswith("FP"):
        if datatype == "FP64" and int not in kinds:
            return True
        return all(value is None or abs(value) <= _LARGEST[datatype] for value in values)
    bounds = _BOUNDS.get(datatype)
    if bounds is None or not kinds <= {int}:
        return False
    return not values or (bounds[0] <= min(values) and max(values) <= bounds[1])


def require_fit(datatype: str, values: Sequence[Any], place: str) -> None:
    """Raises InputError, naming their `place`, where a whole number is none that the datatype has, or a truth value is
    missing: NumPy would make another of it. Nulls elsewhere are the model's to judge."""
    if datatype == "BOOL":
        wrong = None in values
    elif (bounds := _BOUNDS.get(datatype)) is None:
        return
    else:
        low, high = bounds
        kinds = set(map(type, values))
        if kinds <= {int}:
            wrong = bool(values) and not low <= min(values) <= max(values) <= high
        else:
            numbers = [value for value in values if isinstance(value, (int, float))]
            wrong = any(not low <= number <= high or number != int(number) for number in numbers)
    if wrong:
        rule = "true or false" if datatype == "BOOL" else f"whole numbers from {low} to {high}"
        raise fault(f"{place} must hold {rule}, by its datatype {datatype}; give the datatype of the values")


def texts(values: Sequence[bytes], place: str) -> list[str]:
    """Elements of BYTES as texts; InputError, naming their `place`, where they are not UTF-8."""
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise fault(f"{place} must hold elements of BYTES in UTF-8") from None


def _texts(count: int, data: bytes, place: str) -> list[str]:
    found: list[bytes] = []
    at = 0
    while at + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(data) or len(found) != count:
        raise fault(f"{place} does not hold {count} elements of BYTES, each with its length before it")
    return texts(found, place)
