"""The reference of a custom object, from its declaration."""

import ast
import inspect
import json
import textwrap
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, is_dataclass
from enum import Enum

from headrace.contract.conditions import ConditionType
from headrace.contract.custom_object import CustomObject
from headrace.contract.declaration import AtMost, Bounds, Items, Member, Shape, Style, Text, members, shape

WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def docstrings(kind: type) -> dict[str, str]:
    """What stands below each field of a class, as one line."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        try:
            (written,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        except (OSError, TypeError):  # dict, below a TypedDict
            continue
        assert isinstance(written, ast.ClassDef)
        for field, below in zip(written.body, written.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    return found


def reference(known: CustomObject) -> Iterator[str]:
    """Paragraphs of Markdown."""
    shown = ", ".join(column.name for column in known.columns if not column.is_wide)
    wide = ", ".join(column.name for column in known.columns if column.is_wide)
    more = f", and with `-o wide` {wide}" if wide else ""
    yield f"\n## {known.kind}\n\n"
    yield wrapped(f"Short name `{known.short_name}`. `kubectl get {known.short_name}` shows {shown}{more}.")
    for part, kind in (("spec", known.spec), ("status", known.status)):
        yield f"\n### {known.kind}: {part}\n\n{inspect.getdoc(kind)}\n"
        last = "| default | must be " if part == "spec" else ""
        yield f"\n| {part} | type {last}| meaning |\n|---|---|{'---|---|' if last else ''}---|\n"
        yield from _rows(kind, "", with_rules=part == "spec")
    yield f"\n### {known.kind}: conditions\n"
    for condition in known.conditions:
        yield from _condition(condition)


def _rows(kind: type, outer: str, *, with_rules: bool) -> Iterator[str]:
    words = docstrings(kind)
    for member in members(kind, Style.KUBERNETES):
        place = f"{outer}{member.place}"
        last = f"| {_default(member)} | {_rules(member, kind)} " if with_rules else ""
        yield f"| `{place}` | {_type(member.shape.kind)} {last}| {words[member.name]} |\n"
        inside = typing.get_args(member.shape.kind)[:1] if typing.get_origin(member.shape.kind) is tuple else ()
        if inside and is_dataclass(inside[0]):
            yield from _rows(typing.cast(type, inside[0]), f"{place}[].", with_rules=with_rules)


def _type(kind: typing.Any) -> str:
    if kind in WORDS:
        return WORDS[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(f"`{member.value}`" for member in kind)
    if typing.get_origin(kind) is tuple:
        item = shape(typing.get_args(kind)[0]).kind
        return "list" if is_dataclass(item) else f"list of {_type(item)}s"
    return "object"


def _default(member: Member) -> str:
    if member.default is MISSING:
        return "required"
    return "absent" if member.default in (None, (), {}) else f"`{json.dumps(member.default)}`"


def _rules(member: Member, kind: type) -> str:
    places = {each.name: each.place for each in members(kind, Style.KUBERNETES)}
    found = [*_own_rules(member.shape)]
    inside = typing.get_args(member.shape.kind)
    if typing.get_origin(member.shape.kind) is tuple and not is_dataclass(inside[0]):
        found += [f"each {rule}" for rule in _own_rules(shape(inside[0]))]
    for relation in member.shape.relations:
        words = "at most" if isinstance(relation, AtMost) else "with"
        found.append(f"{words} `{places[relation.other]}`")
    return ", ".join(found)


def _own_rules(declared: Shape) -> Iterator[str]:
    for rule in declared.rules:
        if isinstance(rule, Bounds):
            bounds = ((rule.minimum, "at least"), (rule.above, "above"), (rule.maximum, "at most"))
            yield from (f"{words} {bound:g}" for bound, words in bounds if bound is not None)
        elif isinstance(rule, Text):
            yield from (["not empty"] if rule.not_empty else [rule.meaning] if rule.meaning else [])
        elif isinstance(rule, Items):
            yield from ([f"at least {rule.minimum} items"] if rule.minimum else [])
            yield from ([f"at most {rule.maximum} items"] if rule.maximum is not None else [])
            yield from ([f"unique by `{rule.key}`"] if rule.key else [])


def _condition(condition: ConditionType) -> Iterator[str]:
    yield "\n" + wrapped(f"**`{condition.name}`** {condition.meaning}")
    yield "\n| status | reason | meaning |\n|---|---|---|\n"
    reasons: Mapping[str, Mapping[str, str]] = {"True": condition.true, "False": condition.false}
    for status, listed in reasons.items():
        yield from (f"| {status} | `{reason}` | {meaning} |\n" for reason, meaning in listed.items())
    if condition.passes_on:
        yield f"| False | that of {condition.passes_on} | The message has the pod's own words. |\n"


def wrapped(text: str) -> str:
    """A paragraph in lines that fit a screen."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"
