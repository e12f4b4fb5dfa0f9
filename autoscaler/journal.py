"""Journal: every look of every version as a JSON line, with its inputs, so that it can be replayed."""

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import TextIO

from headrace.autoscaler.engine import Decision, Memory, Observation, encode
from headrace.contract.apa import AutoscalerSpec
from headrace.kube.api_server import Key

log = logging.getLogger(__name__)

SIZE_MAX = 256 * 1024 * 1024
"""At this many bytes the file is put aside as FILE.1, replacing the one before."""
FORMAT = 2
"""Of a line. Lines of format 1, which did not say so, held the memory as one flat object."""
MEMORY_EVERY = 600
"""Looks between two lines that carry the memory: replay can begin at any of them."""


class Journal:
    """Appends to a file; without a path it writes nothing. A full disk costs the journal, not the scaling."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._looks: dict[Key, int] = {}

    def write(
        self, key: Key, spec: AutoscalerSpec, observation: Observation, before: Memory, decision: Decision
    ) -> None:
        if not self._path:
            return
        looks = self._looks.get(key, 0)
        self._looks[key] = looks + 1
        line = {
            "format": FORMAT,
            "key": "/".join(key),
            "spec": spec.to_json(),
            "observation": encode(observation),
            "decision": encode(decision),  # its `at` is the time of the look
        }
        if looks % MEMORY_EVERY == 0:
            line["memory"] = encode(before)
        try:
            if self._file is None:
                self._file = Path(self._path).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115  stays open
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
            if self._file.tell() > SIZE_MAX:
                self._file.close()
                self._file = None
                os.replace(self._path, f"{self._path}.1")
                self._looks.clear()  # the new file begins with memories
        except OSError as error:
            log.warning("journal %s cannot be written: %s", self._path, error)

    def forget(self, key: Key) -> None:
        """The version is gone; if it returns, its first line carries a memory."""
        self._looks.pop(key, None)

    def close(self) -> None:
        """Closes the file; what a full disk did not take is lost."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
