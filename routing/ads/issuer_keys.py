"""IssuerKeys: the public keys of one issuer of tokens, read again and again; each issuer has a thread of its own."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import Object
from headrace.routing.ads import telemetry

log = logging.getLogger(__name__)

CLUSTER: Final = "cluster"
"""Name of the cluster's own issuer, whose address is known when it was read."""
FIRST_TRIES: Final = 3
"""Failures after which nothing waits for an issuer any more that was never read."""


class IssuerKeys:
    """An issuer's name and keys, read every `period_seconds` by a thread, which keeps the last good answer."""

    def __init__(
        self,
        name: str,
        read: Callable[[], tuple[str, Object]],
        changed: Callable[[], None],
        *,
        period_seconds: float = 60.0,
    ) -> None:
        """`name` is for logs and metrics; `read` gives issuer and JWKS, and raises TemporaryError."""
        self.name = name
        self.period_seconds = period_seconds
        self._read, self._changed = read, changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"keys of {name}", daemon=True)
        self._age = telemetry.keys_age_seconds.labels(name)
        self.found: tuple[str, Object] | None = None
        """Issuer and JWKS; None until the first answer."""
        self.is_awaited = True
        """Whether the first answer may still come soon."""

    def start(self) -> None:
        self._age.set_to_current_time()  # so that one that is never read gets old
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after its current wait."""
        self._stop.set()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                found = self._read()
                failures = 0
                self._age.set_to_current_time()
                if found != self.found:
                    self.found, self.is_awaited = found, False
                    self._changed()
            except TemporaryError as error:
                failures += 1
                log.warning("keys of %s cannot be read: %s; keeping the last ones", self.name, error)
                if failures == FIRST_TRIES and self.is_awaited:
                    self.is_awaited = False
                    self._changed()
            wait = self.period_seconds if failures == 0 else min(0.1 * 2.0**failures, self.period_seconds)
            self._stop.wait(wait)
