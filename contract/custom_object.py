"""CustomObject: a kind of object of ours, and the CustomResourceDefinition that follows from its declaration."""

import typing
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, is_dataclass
from enum import Enum
from typing import Any, Final

from headrace.contract import names
from headrace.contract.conditions import ConditionType
from headrace.contract.declaration import Member, Needs, Relation, Shape, Style, members, relations, shape

_FREE_FORM: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_SCALARS: Final = {int: "integer", float: "number", str: "string", bool: "boolean"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """What `kubectl get` prints of an object."""

    name: str
    type: str
    """string, integer or date."""
    path: str
    """JSONPath below the object."""
    is_wide: bool = False
    """Whether `-o wide` alone prints it."""


@dataclass(frozen=True, kw_only=True)
class CustomObject:
    """A kind of object in the group serving.headrace.dev."""

    kind: str
    plural: str
    short_name: str
    spec: type
    status: type
    conditions: tuple[ConditionType, ...]
    """All that `status.conditions` may hold."""
    columns: tuple[Column, ...]

    @property
    def path(self) -> str:
        """Where the API server lists the objects of all namespaces."""
        return f"/apis/{names.API_GROUP}/{names.API_VERSION}/{self.plural}"

    def crd(self) -> dict[str, Any]:
        """The CustomResourceDefinition, as plain data."""
        schema = {
            "type": "object",
            # keeps old Pulumi providers able to update the object: docs/decisions/0601
            "x-kubernetes-preserve-unknown-fields": True,
            "required": ["spec"],
            "properties": {"spec": schema_of(self.spec), "status": schema_of(self.status)},
        }
        prioritised = any(column.is_wide for column in self.columns)
        columns = [
            {"name": column.name, "type": column.type, "jsonPath": column.path}
            | ({"priority": int(column.is_wide)} if prioritised else {})
            for column in self.columns
        ]
        version = {
            "name": names.API_VERSION,
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema},
            "additionalPrinterColumns": columns,
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{names.API_GROUP}"},
            "spec": {
                "group": names.API_GROUP,
                "scope": "Namespaced",
                "names": {
                    "kind": self.kind,
                    "plural": self.plural,
                    "singular": self.kind.lower(),
                    "shortNames": [self.short_name],
                    "categories": ["headrace"],
                },
                "versions": [version],
            },
        }


def schema_of(kind: type) -> dict[str, Any]:
    """The structural schema of a declared dataclass."""
    rules = [_validation(*related) for related in relations(kind, Style.KUBERNETES)]
    return _object([(member.path, member) for member in members(kind, Style.KUBERNETES)], rules)


def _object(
    placed: Iterable[tuple[tuple[str, ...], Member]], rules: list[tuple[tuple[str, ...], dict[str, str]]]
) -> dict[str, Any]:
    """Of members at paths below the object, and rules at theirs."""
    groups: dict[str, list[tuple[tuple[str, ...], Member]]] = {}
    for (key, *rest), member in placed:
        groups.setdefault(key, []).append((tuple(rest), member))
    properties: dict[str, Any] = {}
    for key, inside in groups.items():
        path, member = inside[0]
        if path:
            group = _object(inside, [(place[1:], rule) for place, rule in rules if place[:1] == (key,)])
            defaults = {name: each["default"] for name, each in group["properties"].items() if "default" in each}
            # Whole: the API server holds a default to the rules before it fills in those of the fields.
            properties[key] = group | ({"default": defaults} if defaults else {})
        else:
            # An absent list, mapping or optional field is just that.
            default = {} if member.default in (MISSING, None, (), {}) else {"default": member.default}
            properties[key] = _shape(member.shape) | default
    required = [key for key, inside in groups.items() if any(member.default is MISSING for _, member in inside)]
    own = [rule for place, rule in rules if not place]
    return {
        "type": "object",
        **({"required": required} if required else {}),
        **({"x-kubernetes-validations": own} if own else {}),
        "properties": properties,
    }


def _shape(declared: Shape) -> dict[str, Any]:
    made = _kind(declared.kind)
    for rule in declared.rules:
        made |= {keyword: value for keyword, value in rule.schema().items() if value is not None}
    return made


def _kind(kind: Any) -> dict[str, Any]:
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if is_dataclass(kind):
        return schema_of(typing.cast(type, kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"type": "string", "enum": [member.value for member in kind]}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return {"type": "array", "items": _shape(shape(arguments[0]))}
    if arguments[1] is Any:
        return {**_FREE_FORM}
    return {"type": "object", "additionalProperties": _shape(shape(arguments[1]))}


def _validation(member: Member, relation: Relation, other: Member) -> tuple[tuple[str, ...], dict[str, str]]:
    """Where the relation of two fields is checked, and the rule in the API server's expression language."""
    if isinstance(relation, Needs):
        absent = [f"!has(self.{'.'.join(member.path[: depth + 1])})" for depth in range(len(member.path))]
        rule = " || ".join([*absent, f"has(self.{other.place})"])
        return (), {"rule": rule, "message": f"{other.place} must be given with {member.place}"}
    (*group, key), beside = member.path, other.path[-1]
    absent = [f"!has(self.{each.path[-1]})" for each in (member, other) if each.default is None]
    rule = " || ".join([*absent, f"self.{key} <= self.{beside}"])
    return tuple(group), {"rule": rule, "message": f"{member.place} must be at most {other.place}"}
