"""Recall: what the last snapshot was made of, so that the next makes only what differs."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Made = TypeVar("Made")


class Recall:
    """Results of functions by their arguments, kept while they are used.

    Two generations: what a snapshot did not ask for is forgotten with the next. A cache of fixed size would either lose
    everything at one endpoint more than fits, since each snapshot asks for all in turn, or keep what is long gone.
    """

    def __init__(self) -> None:
        self._before: dict[Hashable, Any] = {}
        self._now: dict[Hashable, Any] = {}

    def __call__(self, make: Callable[..., Made], *arguments: Hashable) -> Made:
        """`make(*arguments)`, or what it returned for equal arguments in this snapshot or the last."""
        key = (make, arguments)
        if key not in self._now:
            self._now[key] = self._before[key] if key in self._before else make(*arguments)
        made: Made = self._now[key]
        return made

    def turn(self) -> None:
        """Begins the next generation."""
        self._before, self._now = self._now, {}
