"""Learns how much to merge into one model call. Pure: sizes and durations come in as numbers.

A call's time in its worker is taken as a + b * bytes: what every call costs, and what each byte of requests adds. Both
are fitted over recent calls. A batch grows while `a` is still a noticeable part of it and stops where it is a tenth:
beyond that, merging delays the first request of a batch and gains nothing. For a model whose time is all per row, `a`
is about 0 and requests are not merged; for one whose time is all overhead the only limit is what waits.
"""

import math
from typing import NamedTuple

OVERHEAD_SHARE = 0.1
"""Part of a full batch's time that may be overhead."""
MEMORY = 0.98
"""Weight of the past after each call: about the last 50 calls count."""
FIRST_CALLS = 8
"""Calls measured before anything is concluded; until then batches are of at most FIRST_LIMIT requests."""
FIRST_LIMIT = 16
EXPLORES_EVERY = 8
"""One call in so many may be several times as large as what was learned says: were all calls of one size, nothing more
could be learned, and a first few calls that misled would settle the size for good."""
EXPLORES_FACTOR = 4
MOST_REQUESTS = 256
MOST_BYTES = 8 * 1024 * 1024
"""Bounds of one frame: what a lost batch may lose, and memory."""


class CallCurve(NamedTuple):
    """What a model call costs: n requests take `fixed_seconds + n * request_seconds` in a worker."""

    fixed_seconds: float
    request_seconds: float
    requests_max: float
    """Most requests that one call answers, 1 or more."""
    mean_seconds: float
    """Seconds of the last calls over the requests that they answered."""


class BatchSize:
    """The current answer to how large a batch may be."""

    def __init__(self) -> None:
        self._calls = 0
        self._weight = self._x = self._y = self._xx = self._xy = self._requests = 0.0
        self.overhead_seconds = math.nan
        self.seconds_per_byte = math.nan

    def observe(self, requests: int, size_bytes: int, seconds: float) -> None:
        """One model call: its requests, the bytes of all of them, and its duration in the worker, in seconds: a busy
        front hears of its end late."""
        self._calls += 1
        for name, value in (
            ("_weight", 1.0),
            ("_requests", float(requests)),
            ("_x", size_bytes),
            ("_y", seconds),
            ("_xx", float(size_bytes) * size_bytes),
            ("_xy", size_bytes * seconds),
        ):
            setattr(self, name, getattr(self, name) * MEMORY + value)
        spread = self._weight * self._xx - self._x * self._x
        if self._calls < FIRST_CALLS or spread <= 1e-6 * self._xx * self._weight:
            return  # all calls of one size say nothing about the slope; the last fit stays
        slope = (self._weight * self._xy - self._x * self._y) / spread
        self.seconds_per_byte = max(slope, 0.0)
        self.overhead_seconds = max((self._y - self.seconds_per_byte * self._x) / self._weight, 0.0)

    @property
    def known(self) -> bool:
        """Whether the fit says anything yet."""
        return not math.isnan(self.overhead_seconds)

    @property
    def most_requests(self) -> int:
        """Requests that one call may merge."""
        return MOST_REQUESTS if self.known else FIRST_LIMIT

    @property
    def most_bytes(self) -> int:
        """Bytes of requests that one call may merge; a lone request may be larger."""
        if not self.known:
            return MOST_BYTES
        worth = self._worth()
        if self._calls % EXPLORES_EVERY == EXPLORES_EVERY - 1:
            worth = max(worth, EXPLORES_FACTOR * self._x / self._weight)
        return int(min(MOST_BYTES, worth))

    def curve(self, *, merges: bool) -> CallCurve | None:
        """The curve of a call of requests as large as the last ones; None before the first call.

        Calls that were all of one size tell nothing of the slope: all their time then counts as each request's, which
        is the least capacity that explains what was seen.
        """
        if self._weight == 0.0:
            return None
        mean = self._y / self._requests
        if not merges or not self.known:
            return CallCurve(0.0, mean, 1.0, mean)
        size = self._x / self._requests
        most = max(1.0, min(MOST_REQUESTS, self._worth() / size if size > 0 else MOST_REQUESTS))
        return CallCurve(self.overhead_seconds, self.seconds_per_byte * size, most, mean)

    def _worth(self) -> float:
        """Bytes of a call of whose time a tenth is overhead, at most MOST_BYTES."""
        if self.seconds_per_byte == 0.0:
            return MOST_BYTES
        return min(MOST_BYTES, self.overhead_seconds / self.seconds_per_byte * (1 - OVERHEAD_SHARE) / OVERHEAD_SHARE)

    def divides(self, size_bytes: int) -> bool:
        """Whether that much waiting work is worth more than one call, when more than one worker is free."""
        return self.known and self.seconds_per_byte * size_bytes > self.overhead_seconds
