"""SourceDocument: a document that is converted, and what became of each of its values. Pure.

Whoever converts says of a part that it is mapped, ignored or not mapped. What nobody has said anything of is not mapped
either, so that no value vanishes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from headrace.contract.errors import InputError

Path = tuple[str | int, ...]
"""Keys and positions from the outermost object inwards."""

_MOST_VALUES: Final = 20_000
"""An InferenceService has hundreds; ten lines of YAML with aliases can stand for billions."""
_DEEPEST: Final = 50
_UNKNOWN: Final = "Headrace has no input for it"


class Outcome(StrEnum):
    """What became of a part."""

    MAPPED = "mapped"
    IGNORED = "ignored"
    """Nothing is lost without it."""
    NOT_MAPPED = "not mapped"
    """Something is lost, or left to whoever reads it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of one part. No finding has a value, which may be a secret."""

    place: Path
    """In the source."""
    outcome: Outcome
    target: Path = ()
    """Input of ModelEndpoint; of what is not mapped the one that it would be about."""
    reason: str = ""
    """Why it is ignored or not mapped, or what is different now. Empty: it means the same."""

    def document(self) -> dict[str, str]:
        """For programs."""
        mapped = {"input": told(self.target)} if self.outcome is Outcome.MAPPED else {}
        return {"source": told(self.place), "outcome": self.outcome.value, **mapped, "reason": self.reason}


class SourceDocument:
    """One document and the findings about it."""

    def __init__(self, data: Any) -> None:
        self._findings: dict[Path, Finding] = {}
        self._order: dict[Path, int] = {}
        self.root = Part(self, (), self._plain(data, ()))

    def record(self, finding: Finding) -> None:
        """Keeps what became of a part that the document has; what is said last holds."""
        if finding.place in self._order:
            self._findings[finding.place] = finding

    def findings(self) -> tuple[Finding, ...]:
        """About every value, in the order of the document."""
        every = {**{finding.place: finding for finding in self._rest(self.root)}, **self._findings}
        return tuple(sorted(every.values(), key=lambda finding: self._order[finding.place]))

    def _rest(self, part: "Part") -> Iterator[Finding]:
        """What nobody has said anything of, by the largest parts."""
        if part.path in self._findings:
            return
        length = len(part.path)
        if part.path and not any(place[:length] == part.path for place in self._findings):
            empty = part.value in (None, "") or (isinstance(part.value, dict | list) and not part.value)
            outcome, reason = (Outcome.IGNORED, "it is empty") if empty else (Outcome.NOT_MAPPED, _UNKNOWN)
            yield Finding(place=part.path, outcome=outcome, reason=reason)
            return
        for _, inner in part.parts():
            yield from self._rest(inner)

    def _plain(self, value: Any, path: Path) -> Any:
        """As JSON has it: keys are texts, and so are the dates that YAML reads."""
        self._order[path] = len(self._order)
        if len(self._order) > _MOST_VALUES or len(path) > _DEEPEST:
            most = f"at most {_MOST_VALUES} values, {_DEEPEST} deep"
            raise InputError("the document", [f"it is too large, must have {most}; convert its parts one by one"])
        if isinstance(value, Mapping):
            return {str(key): self._plain(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self._plain(item, (*path, position)) for position, item in enumerate(value)]
        if isinstance(value, str) and not value.isascii():
            _require_characters(value, path)
        return value.isoformat() if isinstance(value, date) else value


@dataclass(frozen=True, eq=False)
class Part:
    """A place in a document, which need not be there: what is said of such a part is said of nothing."""

    document: SourceDocument
    path: Path
    value: Any
    """Plain data; None where the document has nothing there."""

    def __getitem__(self, key: str) -> "Part":
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return Part(self.document, (*self.path, key), value)

    def __bool__(self) -> bool:
        return self.value is not None

    def parts(self) -> Iterator[tuple[str | int, "Part"]]:
        """All that it holds, by key or position."""
        held: Iterable[tuple[str | int, Any]] = self.value.items() if isinstance(self.value, dict) else ()
        if isinstance(self.value, list):
            held = enumerate(self.value)
        for key, value in held:
            yield key, Part(self.document, (*self.path, key), value)

    @property
    def text(self) -> str:
        """Empty where it is none."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def whole(self) -> int | None:
        """A whole number, also where JSON writes it with a point; None where it is none."""
        if isinstance(self.value, float) and self.value.is_integer():
            return int(self.value)
        return self.value if isinstance(self.value, int) and not isinstance(self.value, bool) else None

    def maps(self, target: Path, reason: str = "") -> None:
        """It is an input now. That holds for single values, so that nothing unknown hides in a mapping or a list."""
        if isinstance(self.value, dict | list):
            return
        self.document.record(Finding(place=self.path, outcome=Outcome.MAPPED, target=target, reason=reason))

    def ignore(self, reason: str) -> None:
        """Nothing is lost without it."""
        self.document.record(Finding(place=self.path, outcome=Outcome.IGNORED, reason=reason))

    def lose(self, reason: str, *, near: Path = ()) -> None:
        """It has no counterpart, or one that is left to the reader; `near` is the input that it is about."""
        self.document.record(Finding(place=self.path, outcome=Outcome.NOT_MAPPED, target=near, reason=reason))

    def ignore_each(self, reasons: Mapping[str, str]) -> None:
        """Those of its keys."""
        for key, reason in reasons.items():
            self[key].ignore(reason)

    def lose_each(self, reasons: Mapping[str, tuple[str, str]], *, prefix: Path = ()) -> None:
        """Those of its keys that hold anything, each by an input that it is about (empty: the endpoint) and why."""
        for key, (near, reason) in reasons.items():
            if self[key].value not in (None, "", [], {}):
                self[key].lose(reason, near=(*prefix, near) if near else prefix)


def _require_characters(value: str, path: Path) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        fault = f"{told(path)} holds half of a character (a lone surrogate), which no file can; correct it"
        raise InputError("the document", [fault]) from error


def told(path: Path) -> str:
    """As people write it: spec.containers[0].image, metadata.labels['example.com/team']."""
    found = ""
    for step in path:
        if isinstance(step, int):
            found += f"[{step}]"
        elif step.replace("_", "a").replace("-", "a").isalnum():
            found += f".{step}" if found else step
        else:
            found += f"[{step!r}]"
    return found if found else "the whole"
