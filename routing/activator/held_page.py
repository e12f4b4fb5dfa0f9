"""HeldPage: GET /held/<sequence>, by which the autoscaler hears at once that requests wait.

The answer is `{"sequence": n, "held": {"<endpoint>/<version>": [requests, seconds of the first]}}`. Who gives the
sequence that it was last told waits until a version begins to have requests that wait, a second at most; so a version
that sleeps is woken within milliseconds, and what waits is known as of a second ago.
"""

import json
import threading
from collections.abc import Mapping
from typing import Final

from headrace.contract import metrics
from headrace.kube.admin_server import NOT_FOUND, Response

WAIT_SECONDS: Final = 1.0


class HeldPage:
    """Written by the activator's loop, read by the health port's threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sequence = 0
        self._held: Mapping[str, tuple[int, float]] = {}

    def update(self, held: Mapping[str, tuple[int, float]], *, news: bool) -> None:
        """What waits now; `news`: a version has begun to have requests that wait."""
        with self._changed:
            self._held = held
            if news:
                self._sequence += 1
                self._changed.notify_all()

    def get(self, path: str) -> Response:
        """The page, for the health port."""
        root, _, sequence = path.removeprefix("/").partition("/")
        if f"/{root}" != metrics.HELD_PATH or not sequence.isdecimal():
            return NOT_FOUND
        with self._changed:
            self._changed.wait_for(lambda: self._sequence != int(sequence), WAIT_SECONDS)
            document = {metrics.HELD_SEQUENCE: self._sequence, metrics.HELD_FIELD: dict(self._held)}
        return Response(200, json.dumps(document).encode(), "application/json")
