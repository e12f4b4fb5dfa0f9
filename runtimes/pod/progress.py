"""Progress: what a pod says of its model while it loads."""

import logging
from collections.abc import Callable
from typing import Final

log = logging.getLogger("headrace.front")

TELL_SECONDS: Final = 10.0
"""How often the log says that the model still loads; most load in less."""


class Progress:
    """How long the model has been loading: from the pod's start, or from when its last worker was lost."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds that only grow."""
        self._clock = clock
        self._began: float | None = clock()
        self._told = clock()

    def look(self, *, ready: bool) -> None:
        """Called every second or so; writes to the log what is worth it."""
        now = self._clock()
        if ready:
            if self._began is not None:
                log.info("the model is ready after %.0f s", now - self._began)
            self._began = None
        elif self._began is None:
            self._began = self._told = now
        elif now - self._told >= TELL_SECONDS:
            self._told = now
            log.info("the model is loading, for %.0f s so far", now - self._began)

    @property
    def sentence(self) -> str:
        """For who asks now."""
        if self._began is None:
            return "The model is loading."
        return f"The model is loading, for {self._clock() - self._began:.0f} s so far."
