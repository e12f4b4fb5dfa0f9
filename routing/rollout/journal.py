"""Journal: every look at a rollout as a JSON line, with its inputs; and `replay`, which decides the lines again."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace.contract.codec import decode, encode
from headrace.contract.declaration import Style
from headrace.contract.errors import InputError
from headrace.contract.rollout import Rollout
from headrace.kube.api_server import Key
from headrace.routing.rollout.engine import Decision, Memory, Observation, decide

log = logging.getLogger(__name__)

SIZE_MAX: Final = 64 * 1024 * 1024
"""At this many bytes the file is put aside as FILE.1, replacing the one before."""
FORMAT: Final = 1


class Journal:
    """Appends to a file; without a path it writes nothing. A full disk costs the journal, not the rollout."""

    def __init__(self, path: str) -> None:
        self._path = path

    def write(self, key: Key, spec: Rollout, observation: Observation, before: Memory, decision: Decision) -> None:
        """Each line has the memory of before, so that any of them can be decided by itself."""
        if not self._path:
            return
        line = {
            "format": FORMAT,
            "key": "/".join(key),
            "spec": encode(spec, Style.KUBERNETES),
            "observation": encode(observation),
            "memory": encode(before),
            "decision": encode(decision),  # its `at` is the time of the look
        }
        try:
            path = Path(self._path)
            if path.exists() and path.stat().st_size > SIZE_MAX:
                os.replace(path, f"{path}.1")
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
        except OSError as error:
            log.warning("journal %s cannot be written: %s", self._path, error)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One look: as journalled, and decided again."""

    key: str
    observation: Observation
    was: Decision
    would: Decision


def read(path: Path) -> Iterator[Mapping[str, Any]]:
    """The journal's lines. A last line cut short by a crash is left out; any other bad line raises InputError."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entry["observation"], entry["decision"], entry["key"], entry["memory"]
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                return
            raise InputError(str(path), [f"line {number} is not a look of a journal ({error!r})"]) from error
        if (written := entry.get("format")) != FORMAT:
            fault = f"line {number} has format {written}, must be {FORMAT}: replay it with the release that wrote it"
            raise InputError(str(path), [fault])
        yield entry


def replay(entries: Iterable[Mapping[str, Any]], *, spec: Mapping[str, Any] | None = None) -> list[Step]:
    """Every look, decided again; `spec` has fields of the rollout's spec to replace.

    What other shares would have done to the load cannot be known: the journalled load is taken as given.
    """
    memories: dict[str, Memory] = {}
    steps = []
    for entry in entries:
        key = entry["key"]
        merged = {**entry["spec"], **(spec if spec is not None else {})}
        checked = decode(Rollout, merged, Style.KUBERNETES, subject=f"rollout of {key}")
        if spec is None or key not in memories:
            memories[key] = decode(Memory, entry["memory"])
        was, observation = decode(Decision, entry["decision"]), decode(Observation, entry["observation"])
        would, memories[key] = decide(checked, observation, memories[key], was.at)
        steps.append(Step(key=key, observation=observation, was=was, would=would))
    return steps
