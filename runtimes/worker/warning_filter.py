"""Python's warning filters, kept out of scikit-learn's way.

Each tree of a forest, and each part of whatever else scikit-learn runs through its `Parallel`, first sets up all
warning filters of the process anew (`sklearn.utils.parallel._FuncWrapper`). There are fifteen once MLflow, numpy and
urllib3 are imported, and that is nearly half of the time of a forest's prediction. So one filter lets everything
through to `warnings.showwarning`, where the filters that were there decide what is shown, as before.
"""

from __future__ import annotations

import warnings
from typing import Any

_MOST_SEEN = 4096
"""Warnings remembered: texts that differ each time must fill neither the memory nor the log."""


class Filters:
    """Filters that are applied as a warning is shown."""

    def __init__(self, filters: list[Any], show: Any) -> None:
        self._filters = filters
        self._show = show
        self._seen: set[Any] = set()

    def showwarning(  # noqa: PLR0917 -- `warnings` calls it
        self, message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: str | None = None
    ) -> None:
        """`warnings.showwarning`: shows a warning, keeps it back or raises it."""
        text = str(message)
        action = self._action(text, category)
        if action == "error":
            raise message
        places: dict[str, tuple[Any, ...]] = {"default": (filename, lineno), "module": (filename,), "once": ()}
        if action in places:
            seen = (text, category, *places[action])
            if seen in self._seen or len(self._seen) >= _MOST_SEEN:
                return
            self._seen.add(seen)
        if action != "ignore":
            self._show(message, category, filename, lineno, file, line)

    def _action(self, text: str, category: Any) -> str:
        for action, pattern, kind, _, _ in self._filters:
            if issubclass(category, kind) and (pattern is None or pattern.match(text)):
                return str(action)
        return "default"


def settle() -> bool:
    """Puts one filter in the place of all; False when one looks at modules or lines, which is not told later.

    The filter that Python has for `__main__` is left out: that is our own code here.
    """
    kept = [entry for entry in warnings.filters if entry[3] != "__main__"]
    if any(module is not None or lineno or isinstance(pattern, str) for _, pattern, _, module, lineno in kept):
        return False
    warnings.showwarning = Filters(kept, warnings.showwarning).showwarning
    warnings.resetwarnings()
    warnings.simplefilter("always")
    return True
