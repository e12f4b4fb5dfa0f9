"""Codec: declared dataclasses to plain JSON values and back, with every fault of what is read.

Numbers that JSON lacks travel as the texts "NaN", "Infinity" and "-Infinity".
"""

import math
import reprlib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, is_dataclass
from enum import Enum
from typing import Any, Final, TypeVar

from headrace.contract.declaration import Member, Needs, Relation, Shape, Style, members, relations, shape
from headrace.contract.errors import InputError

_Data = TypeVar("_Data")


class Fault(typing.NamedTuple):
    place: str
    """Of the value, from the outermost object, for example `versions[0].weight`."""
    words: str
    """The rest of the sentence that begins with `place`."""

    def __str__(self) -> str:
        return f"{self.place if self.place else 'the whole'}{self.words}"


_UNREADABLE: Final = object()
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = 100
_NUMBERS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encode(value: Any, style: Style = Style.PLAIN) -> Any:
    """Plain JSON values for a dataclass, enumeration, tuple, mapping, number, text or None."""
    kind = type(value)
    if kind is float:
        return (
            value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        )
    if kind in _SCALARS or value is None:
        return value
    if is_dataclass(kind):
        found: dict[str, Any] = {}
        for name, path, *_ in members(kind, style):
            item = getattr(value, name)
            if item is not None or style is Style.PLAIN:
                inside = found
                for group in path[:-1]:
                    inside = inside.setdefault(group, {})
                inside[path[-1]] = encode(item, style)
        return found
    if isinstance(value, tuple | list):
        return [encode(item, style) for item in value]
    if isinstance(value, Mapping):
        return {key: encode(item, style) for key, item in value.items()}
    return value.value if isinstance(value, Enum) else value


def decode(
    kind: type[_Data],
    data: Any,
    style: Style = Style.PLAIN,
    *,
    subject: str = "",
    known: Mapping[str, Any] | None = None,
) -> _Data:
    """The value of type `kind` that `encode` wrote.

    Absent fields have their defaults; so has null where None is no value. `known` gives the values of fields that the
    data cannot hold. Raises InputError about `subject`, else the name of `kind`, with every fault.
    """
    value, faults = read(kind, data, style, known=known)
    if value is None or faults:
        raise InputError(subject if subject else kind.__name__, [str(fault) for fault in faults])
    return value


def read(
    kind: type[_Data], data: Any, style: Style = Style.PLAIN, *, known: Mapping[str, Any] | None = None
) -> tuple[_Data | None, list[Fault]]:
    """As `decode`, but returns every fault beside the value: of data that break rules the value too, None of data that
    cannot be read."""
    faults: list[Fault] = []
    value = _object(kind, data, faults, style, known={} if known is None else known)
    return (None if value is _UNREADABLE else value), faults


def faults_of(value: Any, style: Style = Style.PLAIN) -> list[Fault]:
    """Every rule that a value made by hand breaks."""
    return read(type(value), encode(value, style), style)[1]


def _object(kind: type, data: Any, faults: list[Fault], style: Style, *, known: Mapping[str, Any]) -> Any:
    if not isinstance(data, dict):
        return _unreadable(faults, data, "an object")
    declared, found, unread = members(kind, style), dict(known), set()
    if style is Style.PLAIN:
        allowed = [name for name, *_ in declared if name not in known]
        unknown = sorted(str(key) for key in data if key not in allowed)
        faults += [Fault(key, f" is unknown, must be one of {', '.join(sorted(allowed))}") for key in unknown]
    for name, path, place, shaped, default in declared:
        if name in known:
            continue
        item: Any = data
        for depth, key in enumerate(path):
            if not isinstance(item, dict) and item is not MISSING and item is not None:
                held = Fault(".".join(path[:depth]), f" = {_SHORT.repr(item)}, must be an object")
                if held not in faults:
                    faults.append(held)
            item = item.get(key, MISSING) if isinstance(item, dict) else MISSING
        before = len(faults)
        absent = item is MISSING or (item is None and not shaped.is_optional)
        value = default if absent else _value(shaped, item, faults, style)
        if value is MISSING:
            faults.append(Fault("", " is missing; set it"))
        if len(faults) > before:
            _move(faults, before, place)
        if value is MISSING or value is _UNREADABLE:
            unread.add(name)
        else:
            found[name] = value
    for member, relation, other in relations(kind, style):
        if not unread & {member.name, other.name}:
            faults += _broken(relation, found, member, other)
    return _UNREADABLE if unread else kind(**found)


def _broken(relation: Relation, found: Mapping[str, Any], member: Member, other: Member) -> Iterator[Fault]:
    value, beside = found[member.name], found[other.name]
    if isinstance(relation, Needs):
        if value is not None and beside is None:
            yield Fault(other.place, f" is missing, must be given with {member.place}; set it")
    elif value is not None and beside is not None and value > beside:
        rule = f"must be at most {other.place} ({beside}): lower it or raise {other.place}"
        yield Fault(member.place, f" = {value}, {rule}")


def _value(declared: Shape, data: Any, faults: list[Fault], style: Style) -> Any:
    """The value of plain data; adds what is wrong to `faults`, with its place in the value."""
    if data is None and declared.is_optional:
        return None
    value = _of_kind(declared.kind, data, faults, style)
    if value is not _UNREADABLE:
        broken = (rule.fault(value) for rule in declared.rules)
        faults += [Fault("", words) for words in broken if words is not None]
    return value


def _of_kind(kind: Any, data: Any, faults: list[Fault], style: Style) -> Any:
    if kind in _SCALARS:
        reader, words = _SCALARS[kind]
        value = reader(data)
        return _unreadable(faults, data, words) if value is None else value
    if kind is Any or typing.is_typeddict(kind):
        return data
    if is_dataclass(kind):
        return _object(typing.cast(type, kind), data, faults, style, known={})
    if isinstance(kind, type) and issubclass(kind, Enum):
        found = next((member for member in kind if member.value == data), None)
        words = f"one of {', '.join(str(member.value) for member in kind)}"
        return found if found is not None else _unreadable(faults, data, words)
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        item = shape(arguments[0])
        if not isinstance(data, list | tuple):
            return _unreadable(faults, data, "a list")
        values = _items(item, enumerate(data), faults, style)
        return _UNREADABLE if _UNREADABLE in values else tuple(values)
    if not isinstance(data, dict):
        return _unreadable(faults, data, "an object")
    values = _items(shape(arguments[1]), data.items(), faults, style)
    return _UNREADABLE if _UNREADABLE in values else dict(zip(data, values, strict=True))


def _items(item: Shape, placed: Iterable[tuple[Any, Any]], faults: list[Fault], style: Style) -> list[Any]:
    values = []
    for key, data in placed:
        before = len(faults)
        values.append(_value(item, data, faults, style))
        _move(faults, before, f"[{key!r}]")
    return values


def _unreadable(faults: list[Fault], data: Any, words: str) -> object:
    faults.append(Fault("", f" = {_SHORT.repr(data)}, must be {words}"))
    return _UNREADABLE


def _move(faults: list[Fault], since: int, outer: str) -> None:
    """Puts the place of the whole before the places of the parts."""
    for at in range(since, len(faults)):
        inner, words = faults[at]
        faults[at] = Fault(f"{outer}.{inner}" if inner and not inner.startswith("[") else outer + inner, words)


def _integer(data: Any) -> int | None:
    """Whole numbers arrive as floats from Pulumi's other languages."""
    if isinstance(data, float) and data.is_integer():
        return int(data)
    return data if isinstance(data, int) and not isinstance(data, bool) else None


def _number(data: Any) -> float | None:
    if isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    return _NUMBERS.get(data) if isinstance(data, str) else None


_SCALARS: Final[Mapping[Any, tuple[Callable[[Any], Any], str]]] = {
    bool: (lambda data: data if isinstance(data, bool) else None, "true or false"),
    int: (_integer, "a whole number"),
    float: (_number, "a number"),
    str: (lambda data: data if isinstance(data, str) else None, "a text"),
}
