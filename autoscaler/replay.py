"""Replay: a journal decided again, as it was or under another spec. Pure but for reading the file and drawing."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headrace.autoscaler.engine import Decision, Memory, Observation, decide, decode
from headrace.autoscaler.journal import FORMAT
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
    key: str
    steps: tuple[Step, ...]

    @property
    def differences(self) -> int:
        """Looks at which the new decision differs from the old."""
        return sum(_wanted(step.was) != _wanted(step.would) for step in self.steps)

    def pod_seconds(self) -> tuple[float, float]:
        """Wanted pods times seconds: as journalled, and decided again."""
        was = would = 0.0
        for step, later in itertools.pairwise(self.steps):
            was += step.was.replicas * (later.now - step.now)
            would += step.would.replicas * (later.now - step.now)
        return was, would

    def changes(self) -> Iterator[tuple[Step, Step]]:
        """Neighbours between which what is wanted changed."""
        return (pair for pair in itertools.pairwise(self.steps) if _wanted(pair[0].would) != _wanted(pair[1].would))


def _wanted(decision: Decision) -> tuple[int, int]:
    return decision.replicas, decision.concurrency


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
        if (written := entry.get("format", 1)) != FORMAT:
            fault = f"line {number} has format {written}, must be {FORMAT}: replay it with the release that wrote it"
            raise InputError(str(path), [fault])
        yield entry


def replay(entries: Iterable[Mapping[str, Any]], *, spec: Mapping[str, Any] | None = None) -> list[Replay]:
    """Each version's looks, decided again. `spec`: fields of an AutopilotPodAutoscaler's spec to replace.

    What the new spec would have done to the load itself cannot be known: the journalled load is taken as given.
    """
    memories: dict[str, Memory] = {}
    steps: dict[str, list[Step]] = {}
    for entry in entries:
        key = entry["key"]
        if "memory" in entry and (spec is None or key not in memories):
            memories[key] = decode(Memory, entry["memory"])
        if key not in memories:
            continue  # begun in the middle: wait for a line that carries the memory
        was = decode(Decision, entry["decision"])
        observation = decode(Observation, entry["observation"])
        merged = _merged(entry["spec"], spec) if spec is not None else entry["spec"]
        checked = AutoscalerSpec.from_json(merged, subject=f"spec of {key}")
        if spec is not None and steps.get(key):
            # Under another spec the fleet would be another: the pods follow the new decision.
            fleet = replace(observation.pods, desired=steps[key][-1].would.replicas)
            observation = replace(observation, pods=fleet)
        would, memories[key] = decide(checked, observation, memories[key], was.at)
        steps.setdefault(key, []).append(Step(now=was.at, observation=observation, was=was, would=would))
    return [Replay(key=key, steps=tuple(found)) for key, found in steps.items()]


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    inside = {key: _merged(old.get(key, {}), value) for key, value in new.items() if isinstance(value, Mapping)}
    return {**old, **new, **inside}


def summary(found: Replay, *, other_spec: bool) -> str:
    """What a person wants to know, as lines."""
    was, would = found.pod_seconds()
    how = "under the other spec" if other_spec else "replayed"
    spent = f"pod-seconds {was:.0f} as journalled, {would:.0f} {how}"
    lines = [f"{found.key}: {len(found.steps)} looks, {found.differences} decided differently, {spent}"]
    for step, later in found.changes():
        seconds = later.now - found.steps[0].now
        reasons = "; ".join(f"{reason.code}: {reason.message}" for reason in later.would.reasons)
        pods = f"replicas {step.would.replicas} -> {later.would.replicas}"
        limit = f"concurrency {step.would.concurrency} -> {later.would.concurrency}"
        lines.append(f"  +{seconds:8.1f} s  {pods}  {limit}  {reasons}")
    return "\n".join(lines)


def plot(found: Replay, path: Path) -> None:
    """Arrivals, pods and concurrency over time, old against new, as a picture of the path's kind."""
    import matplotlib  # noqa: PLC0415  an extra that only this needs

    matplotlib.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415

    start = found.steps[0].now
    times = [step.now - start for step in found.steps]
    figure, (top, middle, bottom) = pyplot.subplots(3, 1, sharex=True, figsize=(10, 7))
    rated = [step for step in found.steps if "rate" in step.would.inputs]
    top.plot([step.now - start for step in rated], [step.would.inputs["rate"] for step in rated], color="0.3")
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
