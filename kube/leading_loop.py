"""LeadingLoop: the one thread in which a controller decides, on the replica that leads."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace.contract import log_line, names
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import Key
from headrace.kube.lease import Elector

log = logging.getLogger(__name__)

STUCK_SECONDS = 60.0
"""A loop that has not turned for so long does not live, and Kubernetes starts its pod anew."""


class LeadingLoop(ABC):
    """Calls `tick` every period, and `wake` in between when somebody has `roused` it.

    All time comes from the two clocks given: `wall` in Unix seconds, and `monotonic`, which does not jump.
    """

    def __init__(
        self,
        elector: Elector,
        *,
        period: float,
        synced: Callable[[], bool] = lambda: True,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`synced` says whether everything that decisions need was read once; `period` is in seconds."""
        self._elector, self._period, self._synced = elector, period, synced
        self._wall, self._monotonic = wall, monotonic
        self._stop, self._roused = threading.Event(), threading.Event()
        self._beat = monotonic()

    # --- Called from other threads -------------------------------------------------------------------------------
    def stop(self) -> None:
        """Ends `run` after the present tick."""
        self._stop.set()
        self._roused.set()

    def rouse(self) -> None:
        """Has `wake` called soon."""
        self._roused.set()

    def ready(self) -> tuple[bool, str]:
        """For /readyz: everything was read once. A replica without the lease is as ready as the leader."""
        return (True, "leading" if self._elector.leading else "standing by") if self._synced() else (False, "reading")

    def alive(self) -> tuple[bool, str]:
        """For /healthz: the loop turned within the last minute."""
        silent = self._monotonic() - self._beat
        return silent < STUCK_SECONDS, f"loop turned {silent:.0f} s ago"

    # --- The loop ------------------------------------------------------------------------------------------------
    def run(self) -> None:
        """Until stopped; gives the lease up at the end."""
        due = self._monotonic()
        while not self._stop.is_set():
            self._beat = self._monotonic()
            due = max(due + self._period, self._beat)
            self.tick()
            while not self._stop.is_set() and (rest := due - self._monotonic()) > 0:
                if self._roused.wait(rest):
                    self._roused.clear()
                    self.wake()
        self._elector.release()

    @abstractmethod
    def tick(self) -> None:
        """One look at everything, if this replica `leads`."""

    def wake(self) -> None:  # noqa: B027  most loops have nothing of the kind
        """What cannot wait for the next tick."""

    def leads(self) -> bool:
        """Whether this replica decides, from now to the next call; the lease is renewed when it is time.

        To be asked before each object: a look at many, or one that waits for the API server, may outlast the lease.
        """
        self._beat = self._monotonic()
        return self._synced() and self._elector.step(self._monotonic(), self._wall())


@contextmanager
def surviving(key: Key) -> Iterator[None]:
    """Logs what goes wrong with one object, so that the others are looked at all the same."""
    with log_line.about(**_named(key)):
        try:
            yield
        except TemporaryError as error:
            log.warning("%s/%s: %s", *key, error)
        except Exception:  # a surprise is logged with its trace
            log.exception("%s/%s: left as it is until the next look", *key)


def _named(key: Key) -> dict[str, str]:
    """Fields of lines about an object: an endpoint's, which has its name, or a version's."""
    endpoint = key[0].removeprefix(names.endpoint_namespace(""))
    return {log_line.ENDPOINT: endpoint, **({log_line.VERSION: key[1]} if key[1] != endpoint else {})}
