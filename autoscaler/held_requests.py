"""HeldRequests: requests that wait in the activators for a version's first pod, known within milliseconds.

A thread for each activator asks for its page again and again; the page answers at once when a version begins to have
requests that wait (`routing/activator/held_page.py`). So a version is woken by its first request and not by the next
scrape, whichever replica leads, and nobody has to know who does.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import urllib3

from headrace.autoscaler import telemetry
from headrace.autoscaler.fleet import bracketed
from headrace.contract import metrics, names
from headrace.kube.api_server import Key

log = logging.getLogger(__name__)

ASK_SECONDS = 3.0
"""Longest wait for a page, which answers within a second."""
PAUSE_SECONDS = 0.5
"""Between two questions of which the first failed."""


@dataclass(frozen=True)
class Held:
    """What waits for the first pod of one version."""

    requests: int
    seconds: float
    """How long the first of them has waited."""


NOTHING_HELD = Held(0, 0.0)


class HeldRequests:
    """`news` is called, by a thread, when some version begins to have requests that wait."""

    def __init__(self, news: Callable[[], None] = lambda: None, *, port: int = names.CONTROL_HEALTH_PORT) -> None:
        self._news, self._port = news, port
        self._http = urllib3.PoolManager(num_pools=16, maxsize=2, retries=False)
        self._followed: dict[str, _Followed] = {}

    def on_news(self, news: Callable[[], None]) -> None:
        """Has this called from now on."""
        self._news = news

    def follow(self, addresses: Mapping[str, str]) -> None:
        """Asks these activators, by name of the pod, and no others."""
        for name in self._followed.keys() - addresses.keys():
            self._followed.pop(name).stop.set()
        for name, address in addresses.items():
            if name not in self._followed:
                followed = self._followed[name] = _Followed(address)
                threading.Thread(target=self._ask, args=(followed,), name=f"held {name}", daemon=True).start()

    def counts(self) -> dict[Key, Held]:
        """What waits, by namespace and name of the version."""
        found: dict[Key, Held] = {}
        for followed in list(self._followed.values()):
            for name, held in followed.held.items():
                endpoint, _, version = name.partition("/")
                key = names.endpoint_namespace(endpoint), version
                before = found.get(key, NOTHING_HELD)
                found[key] = Held(before.requests + held.requests, max(before.seconds, held.seconds))
        return found

    def stop(self) -> None:
        """Asks the threads to end after their present question."""
        self.follow({})

    def _ask(self, followed: "_Followed") -> None:
        sequence = 0
        while not followed.stop.is_set():
            url = f"http://{bracketed(followed.address)}:{self._port}{metrics.HELD_PATH}/{sequence}"
            try:
                response = self._http.request("GET", url, timeout=ASK_SECONDS)
                document = json.loads(response.data)
                before, sequence = sequence, int(document[metrics.HELD_SEQUENCE])
                followed.held = {
                    str(name): Held(int(count), float(seconds))
                    for name, (count, seconds) in document[metrics.HELD_FIELD].items()
                }
            except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
                followed.held = {}
                telemetry.scrape_failures.labels("activator").inc()
                log.debug("held requests of %s not read: %s", followed.address, error)
                followed.stop.wait(PAUSE_SECONDS)
                continue
            if sequence != before and followed.held:
                self._news()


@dataclass
class _Followed:
    """One activator."""

    address: str
    held: Mapping[str, Held] = field(default_factory=dict)
    """Its last word."""
    stop: threading.Event = field(default_factory=threading.Event)
