"""Replay: a journal decided again, as it was or under another spec. Pure but for reading the file and drawing."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headrace.autoscaler.engine import Decision, Memory, Observation, decide, decode
from headrace.contract.apa import AutoscalerSpec
from headrace.contract.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Step:
    """One look: as journalled, and decided again."""

    now: float
    observation: Observation
    was: Decision
    would: Decision


@dataclass(frozen=True, kw_only=True)
class Replay:
    """One version's looks in order."""

    key: str
    steps: tuple[Step, ...]

    @property
    def differences(self) -> int:
        """Looks at which the new decision differs from the old."""
        return sum(
            (step.was.replicas, step.was.concurrency) != (step.would.replicas, step.would.concurrency)
            for step in self.steps
        )

    def pod_seconds(self) -> tuple[float, float]:
        """Wanted pods times seconds: as journalled, and decided again."""
        was = would = 0.0
        for step, later in zip(self.steps[:-1], self.steps[1:], strict=True):
            was += step.was.replicas * (later.now - step.now)
            would += step.would.replicas * (later.now - step.now)
        return was, would

    def changes(self) -> Iterator[tuple[Step, Step]]:
        """Neighbours between which what is wanted changed."""
        for step, later in zip(self.steps[:-1], self.steps[1:], strict=True):
            if step.would.replicas != later.would.replicas or step.would.concurrency != later.would.concurrency:
                yield step, later


def read(path: Path) -> Iterator[Mapping[str, Any]]:
    """The journal's lines. A last line cut short by a crash is left out; any other bad line raises InputError."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entry["observation"], entry["decision"], entry["key"]
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                return
            raise InputError(str(path), [f"line {number} is not a look of a journal ({error!r})"]) from error
        yield entry


def replay(entries: Iterable[Mapping[str, Any]], *, spec: Mapping[str, Any] | None = None) -> list[Replay]:
    """Each version's looks, decided again. `spec`: fields of an AutopilotPodAutoscaler's spec to replace.

    What the new spec would have done to the load itself cannot be known: the journalled load is taken as given.
    """
    memories: dict[str, Memory] = {}
    steps: dict[str, list[Step]] = {}
    for entry in entries:
        key = entry["key"]
        if key not in memories or "memory" in entry:
            if "memory" not in entry:
                continue  # begun in the middle: wait for a line that carries the memory
            if spec is None or key not in memories:
                memories[key] = decode(Memory, entry["memory"])
        was = decode(Decision, entry["decision"])
        observation = decode(Observation, entry["observation"])
        merged = _merged(entry["spec"], spec) if spec is not None else entry["spec"]
        checked = AutoscalerSpec.from_json(merged).checked(f"spec of {key}")
        if spec is not None and steps.get(key):
            # Under another spec the fleet would be another: the pods follow the new decision.
            fleet = replace(observation.pods, desired=steps[key][-1].would.replicas)
            observation = replace(observation, pods=fleet)
        would, memories[key] = decide(checked, observation, memories[key], was.at)
        steps.setdefault(key, []).append(Step(now=was.at, observation=observation, was=was, would=would))
    return [Replay(key=key, steps=tuple(found)) for key, found in steps.items()]


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **old,
        **{
            key: _merged(old.get(key, {}), value) if isinstance(value, Mapping) else value for key, value in new.items()
        },
    }


def summary(found: Replay, *, other_spec: bool) -> str:
    """What a person wants to know, as lines."""
    was, would = found.pod_seconds()
    lines = [
        f"{found.key}: {len(found.steps)} looks, {found.differences} decided differently,"
        f" pod-seconds {was:.0f} as journalled, {would:.0f} {'under the other spec' if other_spec else 'replayed'}"
    ]
    for step, later in found.changes():
        seconds = later.now - found.steps[0].now
        reasons = "; ".join(f"{reason.code}: {reason.message}" for reason in later.would.reasons)
        lines.append(
            f"  +{seconds:8.1f} s  replicas {step.would.replicas} -> {later.would.replicas}"
            f"  concurrency {step.would.concurrency} -> {later.would.concurrency}  {reasons}"
        )
    return "\n".join(lines)


def plot(found: Replay, path: Path) -> None:
    """Arrivals, pods and concurrency over time, old against new, as a picture of the path's kind."""
    import matplotlib  # noqa: PLC0415  an extra that only this needs

    matplotlib.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415

    start = found.steps[0].now
    times = [step.now - start for step in found.steps]
    figure, (top, middle, bottom) = pyplot.subplots(3, 1, sharex=True, figsize=(10, 7))
    rates = [(step.now - start, step.would.inputs["rate"]) for step in found.steps if "rate" in step.would.inputs]
    top.plot([time for time, _ in rates], [rate for _, rate in rates], color="0.3")
    top.set_ylabel("arrivals / s")
    middle.step(times, [step.was.replicas for step in found.steps], where="post", label="journalled", color="0.6")
    middle.step(times, [step.would.replicas for step in found.steps], where="post", label="replayed")
    middle.set_ylabel("pods wanted")
    middle.legend()
    bottom.step(times, [step.was.concurrency for step in found.steps], where="post", color="0.6")
    bottom.step(times, [step.would.concurrency for step in found.steps], where="post")
    bottom.set_ylabel("concurrency per pod")
    bottom.set_xlabel("seconds")
    figure.suptitle(found.key)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
