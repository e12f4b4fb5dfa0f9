"""The model's first call: the prediction of its own input example, what it took, and its use as proof of the protocols.

A model is called once at a start. Where the front asks for the same input again, over every protocol, the result of
that call is the answer; what is proven so is the way of a request to the model and back. A protocol that gives the
model another input has it called again where that is quick, and is not answered where it is not: a start must not take
several predictions.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import logging
import os
import time
from typing import Any

from .equivalence_check import identical
from .scoring import JSON, Answer, Request, Scorer

log = logging.getLogger("headrace.worker")

QUICK_SECONDS = 0.02
"""A first call of no more than this may be made again for a protocol that gives the model another input."""
LARGEST_BYTES = 4 * 1024 * 1024
"""Of example and answer together: to read more of JSON takes longer than a start should."""
NOT_ASKED = 0
"""In place of a status: the model would have to be called again, and its calls take long."""
_MIB = 1024.0 * 1024.0


class _OtherInput(Exception):
    """Raised in place of a prediction that would take long."""


class FirstCall:
    """One prediction, and what the model was given for it."""

    def __init__(self, scorer: Scorer, body: bytes) -> None:
        self._scorer = scorer
        self.body = body
        """The example, as a JSON request."""
        self.answer = Answer(NOT_ASKED, b"")
        self.seconds = self.cpu_seconds = 0.0
        self.peak_bytes: int | None = None
        """Memory that it took at its highest; None where the kernel does not tell."""
        self._kept: list[tuple[Any, dict[str, Any], Any]] = []
        """Input, keyword arguments and result of the call; nothing where they cannot be told."""
        self._other = False
        """Whether the request that is being proven gives the model another input."""

    @property
    def small(self) -> bool:
        """Whether protocols are to be proven with it."""
        return len(self.body) + len(self.answer.body) <= LARGEST_BYTES

    def make(self) -> Answer:
        """Calls the model; never raises."""
        held = _forget_peak()
        begun, cpu = time.monotonic(), time.process_time()
        with _Watched(self._scorer.model, self._keep if self.small else _called):
            self.answer = self._scorer.score(JSON, self.body)
        self.seconds, self.cpu_seconds = time.monotonic() - begun, time.process_time() - cpu
        peak = None if held is None else _memory("VmHWM")
        self.peak_bytes = None if held is None or peak is None else max(0, peak - held)
        return self.answer

    def figures(self) -> dict[str, Any]:
        """For the front: milliseconds and MiB."""
        return {
            "milliseconds": 1000.0 * self.seconds,
            "cpu_milliseconds": 1000.0 * self.cpu_seconds,
            "memory_mib": None if self.peak_bytes is None else self.peak_bytes / _MIB,
        }

    def prove(self, merger: Any, requests: list[Request]) -> list[Answer]:
        """Answers requests that protocols made of the example, each alone, in the way that callers' requests take."""
        answers = []
        merger.proving = True
        try:
            for request in requests:
                self._other = False
                with _Watched(self._scorer.model, self._again):
                    [answer] = merger.answer([request])
                if self._other and (self.seconds > QUICK_SECONDS or self._by_chance(answer)):
                    answer = Answer(NOT_ASKED, b"")
                answers.append(answer)
        finally:
            merger.proving = False
        return answers

    def _keep(self, call: Any, data: Any, keywords: dict[str, Any]) -> Any:
        try:
            given = copy.deepcopy((data, keywords))  # a model may change its input
        except Exception as error:
            log.debug("the example cannot be kept", exc_info=error)
            given = None
        result = call(data, **keywords)
        if given is not None and not hasattr(result, "__next__"):  # an iterator is read once
            self._kept = [(*given, result)]
        return result

    def _again(self, call: Any, data: Any, keywords: dict[str, Any]) -> Any:
        for before, given, result in self._kept:
            if given == keywords and _same(data, before):
                return result
        self._other = True
        if self.seconds > QUICK_SECONDS:
            raise _OtherInput
        return call(data, **keywords)

    def _by_chance(self, answer: Answer) -> bool:
        """Whether another answer says nothing of the protocol: the example itself is answered otherwise, too."""
        return answer != self.answer and self._scorer.score(JSON, self.body) != self.answer


def _called(call: Any, data: Any, keywords: dict[str, Any]) -> Any:
    return call(data, **keywords)


class _Watched:
    """Has `predict` handle the calls of a model for a while; models of MLflow 1 have nothing to watch."""

    def __init__(self, model: Any, predict: Any) -> None:
        self._model, self._predict = model, predict
        self._original = getattr(model, "_predict_fn", None)

    def __enter__(self) -> None:
        original, predict = self._original, self._predict
        if original is None:
            return

        def watched(data: Any, **keywords: Any) -> Any:
            return predict(original, data, keywords)

        watched.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
        self._model._predict_fn = watched

    def __exit__(self, *_: object) -> None:
        if self._original is not None:
            self._model._predict_fn = self._original


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two inputs are certainly the same for the model."""
    if type(ours) is not type(theirs):
        return False
    try:
        if type(ours) is dict:
            return list(ours) == list(theirs) and all(_same(value, theirs[key]) for key, value in ours.items())
        if type(ours) in (list, tuple):
            return len(ours) == len(theirs) and all(map(_same, ours, theirs))
        if hasattr(ours, "dtype") or hasattr(ours, "dtypes"):
            return identical(ours, theirs, importlib.import_module("pandas"), importlib.import_module("numpy"))
        return bool(ours == theirs)
    except Exception as error:  # what compares in ways of its own
        log.debug("two inputs cannot be compared", exc_info=error)
        return False


def _forget_peak() -> int | None:
    """The memory that the process holds, from which on its peak is measured anew; None where that cannot be."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # proc(5): resets VmHWM
    except OSError:
        return None
    return _memory("VmRSS")


def _memory(name: str) -> int | None:
    try:
        with open(f"/proc/{os.getpid()}/status") as file:
            found = [line.split()[1] for line in file if line.startswith(f"{name}:")]
    except OSError:
        return None
    return int(found[0]) * 1024 if found else None
