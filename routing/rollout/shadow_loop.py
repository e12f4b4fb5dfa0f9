"""ShadowLoop: beside the rollouts, it has shadows compared and says on their endpoints' objects what came of it.

It decides nothing, so it has a thread of its own that no rollout waits for; the replica that leads runs it.
"""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Protocol

from headrace.contract.codec import encode
from headrace.contract.declaration import Style
from headrace.contract.errors import TemporaryError
from headrace.contract.shadow import DifferingPrediction, ShadowStatus
from headrace.kube.api_server import Key, Missing, Object, named
from headrace.routing.rollout import shadow_status, telemetry
from headrace.routing.rollout.answer_comparer import Pair
from headrace.routing.rollout.balancer_counters import Counts
from headrace.routing.rollout.engine import Compared
from headrace.routing.snapshot import Endpoint, RoutablePods, accepted_endpoints, ready_pods

log = logging.getLogger(__name__)

PERIOD_SECONDS: Final = 10.0
"""Between two looks, which are also two writes of one object at the least."""


class Objects(Protocol):
    """What is read and written of Kubernetes."""

    def endpoints(self) -> list[Object]:
        """Every ModelEndpoint."""

    def slices(self) -> Sequence[Object]:
        """EndpointSlices of model versions."""

    def balancer_slices(self) -> Sequence[Object]:
        """EndpointSlices of the LoadBalancer."""


class Source(Protocol):
    """Where requests' times are read; `balancer_counters.BalancerCounters` in production."""

    def read(self, endpoint: str, balancers: Collection[str]) -> Counts | None:
        """Counts of the endpoint's versions; None when they are not known."""

    def forget(self, keep: Collection[str]) -> None:
        """Forgets all endpoints but these."""


class Comparer(Protocol):
    """Who compares predictions; `answer_comparer.AnswerComparer` in production."""

    def want(self, pairs: Collection[Pair]) -> None:
        """From now on these are compared, and no others."""

    def taken(self, endpoint: str, new: str) -> tuple[Compared, list[DifferingPrediction]]:
        """What was compared since it was last taken."""


class ShadowLoop:
    """Looks at all endpoints with shadows while `leading`; `write` replaces `status.shadows` of an object."""

    def __init__(
        self,
        objects: Objects,
        source: Source,
        comparer: Comparer,
        write: Callable[[Key, list[dict[str, Any]] | None], None],
        *,
        leading: Callable[[], bool],
    ) -> None:
        self._objects, self._source, self._comparer, self._write = objects, source, comparer, write
        self._leading = leading
        self._known: dict[Key, dict[tuple[str, str], ShadowStatus]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadows", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end after its present look."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            try:
                self.look()
            except Exception:  # rollouts must go on; it is logged with its trace
                log.exception("shadows are left as they are until the next look")

    def look(self) -> None:
        """Once, at every endpoint."""
        items = {}
        if self._leading():
            items = {named(item): item for item in self._objects.endpoints()}
        accepted, _ = accepted_endpoints(items.values())
        shadowed = {endpoint.key: endpoint for endpoint in accepted if endpoint.shadows}
        self._comparer.want(shadow_status.pairs(shadowed.values(), ready_pods(self._objects.slices())))
        self._source.forget({key[1] for key in shadowed})
        self._known = {key: known for key, known in self._known.items() if key in shadowed}
        balancers = {pod.ip for pod in RoutablePods().updated([], self._objects.balancer_slices()).balancers.routable}
        for key, item in items.items():
            endpoint = shadowed.get(key)
            if endpoint is not None:
                self._told(key, item, endpoint, balancers)
            elif (item.get("status") or {}).get("shadows"):
                self._written(key, None)

    def _told(self, key: Key, item: Object, endpoint: Endpoint, balancers: Collection[str]) -> None:
        before = self._known.get(key, shadow_status.said(item))
        beside = shadow_status.serving(endpoint).name
        table = endpoint.spec.inference_table
        redacts = table is not None and table.redact is not None
        counts = self._source.read(endpoint.name, balancers)
        found: dict[tuple[str, str], ShadowStatus] = {}
        for version in endpoint.shadows:
            pair = version.name, beside
            compared, differences = self._comparer.taken(endpoint.name, version.name)
            status = before.get(pair, shadow_status.begun(*pair))
            found[pair] = shadow_status.with_more(status, compared, [] if redacts else differences, counts)
        self._known[key] = found
        if found != shadow_status.said(item):
            self._written(key, [encode(status, Style.KUBERNETES) for status in found.values()])

    def _written(self, key: Key, told: list[dict[str, Any]] | None) -> None:
        try:
            self._write(key, told)
        except Missing:
            return
        except TemporaryError as error:
            telemetry.write_failures.inc()
            log.warning("shadows of %s/%s not written: %s", *key, error)
