"""GenerationalCache: results that the previous snapshot used, so that the next one computes only what has changed."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Result = TypeVar("Result")


class GenerationalCache:
    """Memoizes functions of hashable arguments for as long as each generation uses a result.

    A result that was not used in one generation is dropped with the next. An LRU cache of fixed size would not do: each
    snapshot uses all results in the same order, so with one endpoint more than fits every result would be evicted
    before its next use.
    """

    def __init__(self) -> None:
        self._before: dict[Hashable, Any] = {}
        self._now: dict[Hashable, Any] = {}

    def __call__(self, function: Callable[..., Result], *arguments: Hashable) -> Result:
        """`function(*arguments)`, or its result for equal arguments in this generation or the last."""
        key = (function, arguments)
        if key not in self._now:
            self._now[key] = self._before[key] if key in self._before else function(*arguments)
        result: Result = self._now[key]
        return result

    def next_generation(self) -> None:
        self._before, self._now = self._now, {}
