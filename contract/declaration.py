"""Declarations: what a field must be, said once, in the annotation of a frozen dataclass.

    min_replicas: Annotated[int, Bounds(minimum=0), AtMost("max_replicas")] = 1

`contract.codec` reads and checks by it, `contract.custom_object` makes the schema of it, and the pages of the reference
are compared with it.
"""

import dataclasses
import functools
import re
import types
import typing
from dataclasses import MISSING, dataclass
from enum import Enum
from typing import Annotated, Any, NamedTuple


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The numbers that a field may hold."""

    minimum: float | None = None
    above: float | None = None
    """An open lower bound. A structural schema as released has the closed one, so that the object says the rest."""
    maximum: float | None = None

    def fault(self, value: float) -> str | None:
        """What is wrong with the number, as the rest of a sentence that begins with the field's name."""
        # `not >=` and not `<`: NaN is in no bounds
        if self.minimum is not None and not value >= self.minimum:
            rule = f"at least {self.minimum:g}"
        elif self.above is not None and not value > self.above:
            rule = f"above {self.above:g}"
        elif self.maximum is not None and not value <= self.maximum:
            rule = f"at most {self.maximum:g}"
        else:
            return None
        return f" = {f'{value:g}' if isinstance(value, float) else value}, must be {rule}"

    def schema(self) -> dict[str, Any]:
        """The same for the API server, as keywords of JSON Schema; None where nothing is asked."""
        return {"minimum": self.minimum if self.above is None else self.above, "maximum": self.maximum}


@dataclass(frozen=True, kw_only=True)
class Text:
    """The texts that a field may hold."""

    not_empty: bool = False
    pattern: str = ""
    """A regular expression that the whole text matches; empty where there is none."""
    meaning: str = ""
    """What `pattern` stands for, for people."""
    format: str = ""
    """A name of JSON Schema's, for example `date-time`; for the API server."""

    def fault(self, value: str) -> str | None:
        """What is wrong with the text, in the form of Bounds.fault."""
        if self.not_empty and not value:
            return " is empty; set it"
        if self.pattern and not re.fullmatch(self.pattern, value):
            return f" = {value!r}, must be {self.meaning}"
        return None

    def schema(self) -> dict[str, Any]:
        """The same in the form of Bounds.schema."""
        pattern = f"^{self.pattern}$" if self.pattern else None
        return {"minLength": 1 if self.not_empty else None, "pattern": pattern, "format": self.format or None}


NotEmpty = Annotated[str, Text(not_empty=True)]


@dataclass(frozen=True, kw_only=True)
class Items:
    """The lists that a field may hold."""

    minimum: int = 0
    maximum: int | None = None
    key: str = ""
    """Field of the items that no two share, by which the API server merges them; empty where there is none."""

    def fault(self, value: tuple[Any, ...]) -> str | None:
        """What is wrong with the list, in the form of Bounds.fault."""
        if len(value) < self.minimum:
            return f" has {len(value)} items, must have at least {self.minimum}"
        if self.maximum is not None and len(value) > self.maximum:
            return f" has {len(value)} items, must have at most {self.maximum}"
        found = [str(getattr(item, self.key)) for item in value] if self.key else []
        for name in found:
            if found.count(name) > 1:
                rule = "must be unique; rename or remove one"
                return f" {self.key} = {name!r} appears {found.count(name)} times, {rule}"
        return None

    def schema(self) -> dict[str, Any]:
        """The same in the form of Bounds.schema."""
        merged = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]} if self.key else {}
        return {"minItems": self.minimum if self.minimum > 0 else None, "maxItems": self.maximum, **merged}


@dataclass(frozen=True)
class At:
    """Where an object of Kubernetes has the field, for example `concurrency.min`; else at its name in camel case."""

    path: str


@dataclass(frozen=True)
class AtMost:
    """The field is no greater than another one beside it."""

    other: str


@dataclass(frozen=True)
class Needs:
    """The field is given only together with another one beside it."""

    other: str


Rule = Bounds | Text | Items
"""What a value must be by itself."""
Relation = AtMost | Needs
"""What it must be beside others."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A type as it is declared."""

    kind: Any
    """Without None and what annotates it."""
    is_optional: bool
    """Whether None is a value."""
    rules: tuple[Rule, ...]
    relations: tuple[Relation, ...]
    at: str
    """Path of At; empty where there is none."""


class Style(Enum):
    """How objects are spelled."""

    PLAIN = "plain"
    """Keys are the fields' names, None is null, and an unknown key is a fault."""
    KUBERNETES = "kubernetes"
    """Keys are in camel case or where At says, and None is left out. An unknown key is passed over: while a cluster is
    upgraded, an object may have a field that a program does not know yet."""


class Member(NamedTuple):
    """One field of a declared dataclass."""

    name: str
    path: tuple[str, ...]
    """Its keys in the object, from the outermost."""
    place: str
    """The path, for people."""
    shape: Shape
    default: Any
    """dataclasses.MISSING where it must be given."""


@functools.cache
def members(kind: type, style: Style) -> tuple[Member, ...]:
    """The fields of a dataclass, in order."""
    hints = typing.get_type_hints(kind, include_extras=True)
    found = []
    for field in dataclasses.fields(kind):
        declared = shape(hints[field.name])
        default = field.default if field.default_factory is MISSING else field.default_factory()
        place = field.name
        if style is Style.KUBERNETES:
            first, *others = field.name.split("_")
            place = declared.at if declared.at else first + "".join(map(str.capitalize, others))
        found.append(Member(field.name, tuple(place.split(".")), place, declared, default))
    return tuple(found)


@functools.cache
def relations(kind: type, style: Style) -> tuple[tuple[Member, Relation, Member], ...]:
    """What fields of a dataclass must be beside others."""
    named = {member.name: member for member in members(kind, style)}
    return tuple(
        (member, relation, named[relation.other]) for member in named.values() for relation in member.shape.relations
    )


@functools.cache
def shape(hint: Any) -> Shape:
    """What a type's annotations and None say."""
    marks: list[Any] = []
    is_optional = False
    while True:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            marks += hint.__metadata__
            hint = hint.__origin__
        elif origin in (types.UnionType, typing.Union) and len(arguments) == 2 and type(None) in arguments:
            is_optional = True
            (hint,) = (kind for kind in arguments if kind is not type(None))
        else:
            break
    return Shape(
        kind=hint,
        is_optional=is_optional,
        rules=tuple(mark for mark in marks if isinstance(mark, Rule)),
        relations=tuple(mark for mark in marks if isinstance(mark, Relation)),
        at=next((mark.path for mark in marks if isinstance(mark, At)), ""),
    )
