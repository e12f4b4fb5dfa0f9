"""Redaction: what is replaced in a record before it touches a disk. Pure.

Places are a part of JSONPath (RFC 9535) that needs no search: `$`, then `.name`, `['name']`, `[3]`, `[*]` and `.*`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from headrace.contract.errors import InputError
from headrace.contract.inference_table import REDACTED, Redaction

_STEP: Final = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\['(?P<quoted>[^']*)'\]|\[(?P<at>\d+)\]|(?P<all>\[\*\]|\.\*)"
)
Step = str | int | None
"""A key, a position, or None for every one."""


def steps_of(path: str) -> tuple[Step, ...]:
    """The steps of a path. InputError where it is none."""
    at, steps = 1, list[Step]()
    while path.startswith("$") and at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            break
        name = found["name"] if found["quoted"] is None else found["quoted"]
        steps.append(None if found["all"] else int(found["at"]) if found["at"] else name)
        at = found.end()
    if not path.startswith("$") or at != len(path):
        rule = "must be $ and then .name, ['name'], [3], [*] or .*, for example $.messages[*].content"
        raise InputError("redact", [f"json_paths has {path!r}, {rule}"])
    return tuple(steps)


def faults(redaction: Redaction) -> list[str]:
    """All that is wrong with the paths and patterns."""
    told: list[str] = []
    for path in redaction.json_paths:
        try:
            steps_of(path)
        except InputError as error:
            told += error.faults
    for pattern in redaction.patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            told.append(f"patterns has {pattern!r}, must be a regular expression: {error}")
    return told


class Redactor:
    """Replaces what a Redaction names. InputError where its paths or patterns cannot be used."""

    def __init__(self, redaction: Redaction) -> None:
        if told := faults(redaction):
            raise InputError("redact", told)
        self._columns = frozenset(redaction.columns)
        self._paths = [steps_of(path) for path in redaction.json_paths]
        self._patterns = [re.compile(pattern) for pattern in redaction.patterns]

    @property
    def needs_json(self) -> bool:
        """Whether what is no JSON cannot be redacted."""
        return bool(self._columns or self._paths)

    def text(self, value: str) -> str:
        """A text without what the patterns find."""
        for pattern in self._patterns:
            value = pattern.sub(REDACTED, value)
        return value

    def document(self, value: Any) -> Any:
        """A JSON value without what is to be replaced; may change the one that is given."""
        for steps in self._paths:
            value = _replaced(value, steps)
        if self._columns and isinstance(value, dict):
            self._redact_columns(value)
        return self._searched(value) if self._patterns else value

    def _searched(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self._searched(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._searched(item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        return REDACTED if any(pattern.search(str(value)) for pattern in self._patterns) else value

    def _redact_columns(self, document: dict[str, Any]) -> None:
        split = document.get("dataframe_split")
        if isinstance(split, dict) and isinstance(split.get("columns"), list) and isinstance(split.get("data"), list):
            at = [place for place, name in enumerate(split["columns"]) if name in self._columns]
            for row in split["data"]:
                if isinstance(row, list):
                    for place in at:
                        row[place : place + 1] = [REDACTED] * bool(row[place : place + 1])
        for key in ("dataframe_records", "instances", "inputs", "outputs", "predictions"):
            self._redact_named(document.get(key))

    def _redact_named(self, value: Any) -> None:
        """Records, columns by name, or tensors, which have a `name` and `data`."""
        if isinstance(value, list):
            for item in value:
                self._redact_named(item)
        elif isinstance(value, dict):
            if value.get("name") in self._columns and "data" in value:
                value["data"] = REDACTED
            for name in self._columns & value.keys():
                value[name] = REDACTED


def _replaced(value: Any, steps: Sequence[Step]) -> Any:
    if not steps:
        return REDACTED
    step, rest = steps[0], steps[1:]
    inner: Callable[[Any], Any] = lambda item: _replaced(item, rest)  # noqa: E731
    if isinstance(value, Mapping):
        return {key: inner(item) if step is None or key == step else item for key, item in value.items()}
    if isinstance(value, list):
        return [inner(item) if step is None or at == step else item for at, item in enumerate(value)]
    return value
