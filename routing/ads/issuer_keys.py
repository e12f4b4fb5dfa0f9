"""IssuerKeys: the public keys of the cluster's ServiceAccount token issuer, as the API server publishes them."""

import logging
import threading
from collections.abc import Callable

from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import ApiServer, Object
from headrace.routing.ads import telemetry

log = logging.getLogger(__name__)


class IssuerKeys:
    """The token issuer's name and keys, read every `period_seconds` by a thread, which keeps the last good answer."""

    def __init__(self, server: ApiServer, changed: Callable[[], None], *, period_seconds: float = 60.0) -> None:
        self._server, self._changed, self._period = server, changed, period_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="issuer keys", daemon=True)
        self.found: tuple[str, Object] | None = None
        """Issuer and JWKS; None until the first answer."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after its current wait."""
        self._stop.set()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                issuer = self._server.get("/.well-known/openid-configuration")["issuer"]
                jwks = self._server.get("/openid/v1/jwks")
                if not jwks.get("keys"):
                    raise TemporaryError("the issuer publishes no keys")
                found = (issuer, jwks)
                failures = 0
                telemetry.keys_age_seconds.set_to_current_time()
                if found != self.found:
                    self.found = found
                    self._changed()
            except (TemporaryError, KeyError, ValueError) as error:
                failures += 1
                log.warning("issuer keys cannot be read: %s; keeping the last ones", error)
            wait = self._period if failures == 0 else min(0.1 * 2.0**failures, self._period)
            self._stop.wait(wait)
