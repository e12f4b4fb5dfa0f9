"""Chooses the merged calls that are checked while serving, and counts what that found.

A proof with made rows can miss what only callers send. So the first merged calls are checked, and later every call that
is new in kind (longer than any before, the first with nulls, the first with a label), and of all others as many as cost
a hundredth of the time that merged calls take. Pure: sizes and times come in as numbers.
"""

from __future__ import annotations

import random
from typing import Any

SURE_CALLS = 8
"""The first merged calls, checked whole."""
SURE_REQUESTS = 16
"""Requests of one call while those last."""
SAMPLED_REQUESTS = 8
"""Requests looked at in a later call."""
SHARE = 0.01
"""Part of the time of merged calls that goes into checks of calls that are in no way new."""
_MOST_LABELS = 64
_LABELS = frozenset((str, int, bool))


class Watch:
    """What has been checked so far."""

    def __init__(self) -> None:
        self._dice = random.Random()
        self._sure = SURE_CALLS
        self._kinds: set[Any] = set()
        self._labels: set[Any] = set()
        self._earned = 0.0
        """Seconds that sampled checks may take."""
        self._each = 0.0
        """Seconds that a request alone takes, roughly."""
        self.checked = 0
        """Merged calls of which requests were scored apart too."""
        self.differed = 0
        """Those that were answered otherwise; merging ended with the first."""

    @property
    def most_requests(self) -> int | None:
        """Requests that a merged call may have now; None for any number."""
        return SURE_REQUESTS if self._sure else None

    def chosen(self, sizes: list[int], result: list[Any], seconds: float, *, nulls: bool) -> list[int]:
        """The requests to score apart, of a call of requests of so many rows that took so long."""
        self._earned = min(self._earned + SHARE * seconds, 1.0 + SAMPLED_REQUESTS * self._each)
        new = self._new_label(sizes, result)
        kind = (len(result).bit_length(), nulls)
        if self._sure:
            self._sure -= 1
            self._kinds.add(kind)
            return list(range(len(sizes)))
        if kind not in self._kinds or new:
            self._kinds.add(kind)
            return sorted({*new, *self._some(len(sizes))})
        cost = self._each * min(SAMPLED_REQUESTS, len(sizes))
        if not cost or self._earned < cost:
            return []
        self._earned -= cost
        return self._some(len(sizes))

    def took(self, requests: int, seconds: float) -> None:
        """So many requests were scored apart in so long."""
        self.checked += 1
        self._each += (seconds / requests - self._each) * (0.2 if self._each else 1.0)

    def _some(self, count: int) -> list[int]:
        return self._dice.sample(range(count), min(SAMPLED_REQUESTS, count))

    def _new_label(self, sizes: list[int], result: list[Any]) -> list[int]:
        """Requests answered by a label that no merged call has had; the first few labels only, and no numbers."""
        if len(self._labels) >= _MOST_LABELS or not set(map(type, result)) <= _LABELS:
            return []
        new = set(result) - self._labels
        if not new:
            return []
        self._labels |= new
        found, start = [], 0
        for at, size in enumerate(sizes):
            if not new.isdisjoint(result[start : start + size]):
                new -= set(result[start : start + size])
                found.append(at)
            start += size
        return found
