"""EndpointDraft: the inputs of a ModelEndpoint as they are found, each judged by ModelEndpoint's own rules. Pure."""

import copy
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.components.endpoint.endpoint_inputs import ModelEndpointArgs, read_inputs
from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.stacks.conversion.source_document import Finding, Part, Path, SourceDocument

_MOST_VERSIONS: Final = 15
SUBJECT: Final = "headrace convert"


@dataclass(frozen=True)
class Setting:
    """A value that the source does not have: the program reads it from its stack's configuration, and a preview
    without it fails and says so."""

    key: str
    example: str
    """Stands for it where inputs are judged."""
    secret: bool = False


@dataclass(frozen=True, kw_only=True)
class DraftVersion:
    """One of those that serve."""

    name: str
    model_uri: str | Setting
    weight: int = 100
    """Percent."""
    shadow: int = 0
    """Percent."""


@dataclass
class ModelUris:
    """What `--model-uri` says, by the name of the version or endpoint that it is for; empty for the only one."""

    given: Mapping[str, str]
    used: set[str] = field(default_factory=set)
    asked: dict[str, None] = field(default_factory=dict)

    def of(self, name: str, *, endpoint: str) -> str | Setting:
        """The URI for it, else a setting."""
        found = self.said(name)
        key = re.sub(r"\W", "_", endpoint if name == endpoint else f"{endpoint}_{slug(name)}")
        return Setting(f"{key}_model_uri", "models:/example/1") if found is None else found

    def said(self, name: str) -> str | None:
        """The URI for it, None where nothing is said."""
        self.asked[name] = None
        key = name if name in self.given else ""
        self.used |= {key} & self.given.keys()
        return self.given.get(key)

    def checked(self) -> None:
        """Raises InputError for URIs that are for nothing, or for everything."""
        known = ", ".join(self.asked)
        faults = [
            f"--model-uri names {name!r}, which the source does not have; it has {known}"
            for name in self.given.keys() - self.used - {""}
        ]
        faults += [f"--model-uri {name}= is empty, must be a URI" for name, uri in self.given.items() if not uri]
        if "" in self.given and len(self.asked) > 1:
            faults.append(f"--model-uri is given without a name for {len(self.asked)} models; write NAME=URI: {known}")
        if faults:
            raise InputError(SUBJECT, sorted(faults))


@dataclass
class EndpointDraft:
    """One endpoint in the making. After `begin` its inputs are without fault at any time."""

    name: str
    described: str
    """What it was, for example: KServe InferenceService fraud."""
    document: SourceDocument
    inputs: dict[str, Any] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What became of every value of the source."""
        return self.document.findings()

    def begin(self, versions: Sequence[DraftVersion]) -> list[Path]:
        """What serves; returns for each version where its own inputs go: to the endpoint, where it is the only one."""
        if len(versions) > _MOST_VERSIONS:
            fault = f"{self.described} has {len(versions)} versions, must have at most {_MOST_VERSIONS}"
            raise InputError(SUBJECT, [f"{fault}; remove those without requests"])
        if len(versions) == 1:
            self.inputs["model_uri"] = versions[0].model_uri
            return [()]
        self.inputs["versions"] = [
            {
                "model_uri": each.model_uri,
                "name": name,
                **({"shadow": each.shadow} if each.shadow else {"weight": each.weight}),
            }
            for each, name in zip(versions, _unique([slug(each.name) for each in versions]), strict=True)
        ]
        return [("versions", position) for position in range(len(versions))]

    def put(self, target: Path, value: Any, *parts: Part, reason: str = "") -> bool:
        """Makes `value` the input at `target`, as `parts` say; they are not mapped where ModelEndpoint refuses it."""
        before = _at(self.inputs, target)
        if before is not None and before != value:
            return self._lost(
                parts, f"{target[-1]} has another value from elsewhere in the source, which holds", target
            )
        tried = copy.deepcopy(self.inputs)
        _put(tried, target, value)
        if faults := _faults(tried):
            return self._lost(parts, f"ModelEndpoint does not take it: {faults[0]}", target)
        self.inputs = tried
        for part in parts:
            part.maps(target, reason if part is parts[0] else "")
        return True

    def ordered(self) -> dict[str, Any]:
        """The inputs in the order of ModelEndpoint's reference."""
        return {key: self.inputs[key] for key in ModelEndpointArgs.__annotations__ if key in self.inputs}

    @staticmethod
    def _lost(parts: Iterable[Part], reason: str, near: Path) -> bool:
        for part in parts:
            part.lose(reason, near=near)
        return False


def slug(name: str, *, most: int = 63) -> str:
    """The DNS label that is nearest to a name; `model` where nothing is left of it."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower())[:most].strip("-")
    return found if found else "model"


def endpoint_name(part: Part) -> str:
    """The endpoint's name, and that of the source as mapped."""
    found = slug(part.text, most=names.ENDPOINT_NAME_MAX)
    if part.text:
        part.maps(("name",), "" if found == part.text else f"it is called {found} here, since names are DNS labels")
    return found


def shares(weights: Sequence[float]) -> list[int]:
    """Whole percents in the proportion of the weights, which add up to 100; all to the first where no weight counts.

    By the largest remainder: what rounding down leaves goes to those that it took the most from.
    """
    total = sum(weights)
    exact = [weight * 100 / total for weight in weights] if total > 0 else [100.0] + [0.0] * (len(weights) - 1)
    found = [int(each) for each in exact]
    by_remainder = sorted(range(len(exact)), key=lambda position: found[position] - exact[position])
    for position in by_remainder[: 100 - sum(found)]:
        found[position] += 1
    return found


def _unique(given: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in given:
        number, unique = 1, name
        while unique in found:
            number += 1
            unique = f"{name[:60]}-{number}"
        found.append(unique)
    return found


def _faults(inputs: Mapping[str, Any]) -> list[str]:
    return read_inputs({**_known(inputs), "platform": {}})[1]


def _known(value: Any) -> Any:
    if isinstance(value, Setting):
        return value.example
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items()}
    return [_known(item) for item in value] if isinstance(value, list) else value


def _at(inputs: Any, target: Path) -> Any:
    for step in target:
        if isinstance(step, int):
            inputs = inputs[step] if isinstance(inputs, list) and step < len(inputs) else None
        else:
            inputs = inputs.get(step) if isinstance(inputs, dict) else None
    return inputs


def _put(inputs: Any, target: Path, value: Any) -> None:
    """A position that is the list's length appends to it."""
    for step, following in itertools.pairwise(target):
        if isinstance(step, int):
            inputs = inputs[step]
        else:
            inputs = inputs.setdefault(step, [] if isinstance(following, int) else {})
    last = target[-1]
    if isinstance(last, int) and last == len(inputs):
        inputs.append(value)
    else:
        inputs[last] = value
