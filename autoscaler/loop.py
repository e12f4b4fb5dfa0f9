"""Loop: once a second, a look at all versions."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping

from headrace.autoscaler import telemetry
from headrace.autoscaler.cluster import Cluster
from headrace.autoscaler.counter_aggregation import Reading, Targets
from headrace.autoscaler.fleet import bracketed, fleet_of
from headrace.autoscaler.load_sources import Source
from headrace.autoscaler.reconcile import Reconciler, owners
from headrace.contract import metrics, names
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import Key, named
from headrace.kube.lease import Elector

log = logging.getLogger(__name__)

PERIOD_SECONDS = 1.0
"""The period of the scrapes; the engine acts at it when requests queue."""
STUCK_SECONDS = 60.0


class Loop:
    """The controller's one thread of decisions. All time comes from the two clocks given."""

    def __init__(
        self,
        cluster: Cluster,
        source: Source,
        reconciler: Reconciler,
        elector: Elector,
        *,
        synced: Callable[[], bool] = lambda: True,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._source, self._reconciler, self._elector = cluster, source, reconciler, elector
        self._synced, self._wall, self._monotonic = synced, wall, monotonic
        self._stop = threading.Event()
        self._beat = monotonic()

    # --- Called from other threads -------------------------------------------------------------------------------
    def targets(self, job: str) -> list[dict[str, object]] | None:
        """What there is to scrape under a job's name, for Prometheus' HTTP discovery; None: no such job.

        Raises TemporaryError until everything was read once: nothing is known then, which is not that nothing is there.
        """
        if not self._synced():
            raise TemporaryError("pods are not known yet")
        known = self._targets()
        if job == metrics.BALANCERS_JOB:
            listed, port = [(names.SYSTEM_NAMESPACE, known.balancers)], names.ENVOY_STATS_PORT
        elif job == metrics.MODELS_JOB:
            listed, port = [(key[0], pods) for key, pods in known.pods.items()], names.FRONT_ADMIN_PORT
        else:
            return None
        found = sorted((namespace, pod, address) for namespace, pods in listed for pod, address in pods.items())
        return [
            {"targets": [f"{bracketed(address)}:{port}"], "labels": {"namespace": namespace, "pod": pod}}
            for namespace, pod, address in found
        ]

    def stop(self) -> None:
        """Ends `run` after the present tick."""
        self._stop.set()

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
            due = max(due + PERIOD_SECONDS, self._beat)
            self.tick()
            self._stop.wait(max(0.0, due - self._monotonic()))
        self._elector.release()

    def tick(self) -> None:
        """One look at every version, if this replica leads."""
        leading = self._elector.step(self._monotonic(), self._wall()) if self._synced() else False
        telemetry.leading.set(1 if leading else 0)
        if not leading:
            self._reconciler.release()
            return
        with telemetry.tick_seconds.time():
            targets = self._targets()
            telemetry.versions.set(len(targets.pods))
            readings = self._source.read(targets, self._wall())
            self._reconciler.release(keep=targets.pods)
            self._reconcile(readings, keys=targets.pods)

    def _targets(self) -> Targets:
        pods = {key: self._reconciler.fleets.of(key).ready for key in map(named, self._cluster.autoscalers())}
        return Targets(pods=pods, balancers=fleet_of(self._cluster.balancers()).ready)

    def _reconcile(self, readings: Mapping[Key, Reading], *, keys: Collection[Key]) -> None:
        items = self._cluster.autoscalers()
        owner = owners(items)
        for item in items:
            # A look at many versions, or one that waits for the API server, may outlast the lease.
            if not self._elector.step(self._monotonic(), self._wall()):
                return
            key = named(item)
            if key not in keys or item["metadata"].get("deletionTimestamp"):
                continue
            try:
                self._reconciler.reconcile(item, readings.get(key), self._wall(), owner=owner[key])
            except TemporaryError as error:
                log.warning("%s/%s: %s", *key, error)
            except Exception:  # one version's surprise must not stop the others; it is logged with its trace
                log.exception("%s/%s: left as it is until the next look", *key)
