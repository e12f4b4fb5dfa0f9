"""Frozen data to plain JSON values and back, for the decision log and the object's status.

Non-finite numbers, which JSON lacks, travel as the strings "NaN", "Infinity" and "-Infinity".
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

_Data = TypeVar("_Data")


def encode(value: Any) -> Any:
    """Plain JSON values for a dataclass, tuple, dict, number, string or None."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if dataclasses.is_dataclass(value):
        return {name: encode(getattr(value, name)) for name, _ in _fields(value.__class__)}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    return value


def decode(kind: type[_Data], data: Any) -> _Data:
    """The value of type `kind` that `encode` wrote. Absent fields take their default; an unknown field is an error.

    Raises TypeError or ValueError, which name the field, for data that do not fit.
    """
    return typing.cast(_Data, _decode(kind, data))


def _decode(kind: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        hints = dict(_fields(typing.cast(type, kind)))
        if not isinstance(data, Mapping):
            raise TypeError(f"{kind} = {data!r}, must be an object")
        unknown = sorted(set(data) - set(hints))
        if unknown:
            raise ValueError(f"unknown field {unknown[0]}, must be one of {', '.join(hints)}")
        return typing.cast(type, kind)(**{name: _decode(hints[name], item) for name, item in data.items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if data is None:
            return None
        return _decode(next(argument for argument in arguments if argument is not type(None)), data)
    if origin is tuple:
        return tuple(_decode(arguments[0], item) for item in data)
    if origin is dict:
        return {key: _decode(arguments[1], item) for key, item in data.items()}
    if kind is float:
        return float(data)
    if kind is bool or kind is str or kind is int:
        if not isinstance(data, kind):
            raise TypeError(f"{data!r} is a {type(data).__name__}, must be a {kind.__name__}")
        return data
    raise TypeError(f"{kind} cannot be read from JSON")


@functools.cache
def _fields(kind: Any) -> tuple[tuple[str, Any], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((item.name, hints[item.name]) for item in dataclasses.fields(kind))
