"""Loop: once a second, all versions; between, at once, whoever is woken."""

import logging
import threading
import time
from collections.abc import Callable

from headrace.autoscaler import pods, telemetry
from headrace.autoscaler.kube import Cluster
from headrace.autoscaler.lease import Elector
from headrace.autoscaler.metrics import Source, bracketed
from headrace.autoscaler.reconcile import WAKE_ANNOTATION, Reconciler, owners
from headrace.autoscaler.report import stamp
from headrace.autoscaler.totals import Reading, Targets
from headrace.contract import metrics, names
from headrace.contract.errors import TemporaryError
from headrace.machinery.api_server import Key, named

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
        self._woken: set[Key] = set()
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._stop = threading.Event()
        self._beat = monotonic()
        self._readings: dict[Key, Reading] = {}

    # --- Called from other threads -------------------------------------------------------------------------------
    def wake(self, key: Key) -> bool:
        """A wake-up call for a version; False when there is no such version. Idempotent."""
        if all(named(item) != key for item in self._cluster.autoscalers()):
            return False
        telemetry.wakes.inc()
        if self._elector.leading:
            with self._lock:
                self._woken.add(key)
            self._bell.set()
        else:
            self._cluster.annotate(*key, {WAKE_ANNOTATION: stamp(self._wall())})
        return True

    def targets(self, job: str) -> list[dict[str, object]] | None:
        """What there is to scrape under a job's name, for Prometheus' HTTP discovery; None: no such job.

        Raises TemporaryError until everything was read once: nothing is known then, which is not that nothing is there.
        """
        if not self._synced():
            raise TemporaryError("pods are not known yet")
        known = self._targets()
        if job == metrics.BALANCERS_JOB:
            found = [(names.SYSTEM_NAMESPACE, pod, address) for pod, address in known.balancers.items()]
            port = names.ENVOY_STATS_PORT
        elif job == metrics.MODELS_JOB:
            found = [(key[0], pod, address) for key, version in known.pods.items() for pod, address in version.items()]
            port = names.FRONT_ADMIN_PORT
        else:
            return None
        return [
            {"targets": [f"{bracketed(address)}:{port}"], "labels": {"namespace": namespace, "pod": pod}}
            for namespace, pod, address in sorted(found)
        ]

    def stop(self) -> None:
        """Ends `run` after the present tick."""
        self._stop.set()
        self._bell.set()

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
            if self._beat >= due:
                due = max(due + PERIOD_SECONDS, self._beat)
                self.tick()
            else:
                self.answer_calls()
            self._bell.wait(max(0.0, due - self._monotonic()))
            self._bell.clear()
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
            self._readings = self._source.read(targets, self._wall())
            self._reconciler.release(keep=targets.pods)
            self._reconcile(set(targets.pods))

    def _targets(self) -> Targets:
        return Targets(
            pods={
                key: self._reconciler.fleets.of(key).ready
                for key in (named(item) for item in self._cluster.autoscalers())
            },
            balancers=pods.fleet(self._cluster.balancers()).ready,
        )

    def answer_calls(self) -> None:
        """One look at each version that was woken since, with the readings of the last tick."""
        with self._lock:
            woken = set(self._woken)
        if woken and self._elector.leading:
            self._reconcile(woken)

    def _reconcile(self, keys: set[Key]) -> None:
        items = self._cluster.autoscalers()
        owner = owners(items)
        with self._lock:
            woken, self._woken = self._woken, set()
        for item in items:
            # A look at many versions, or one that waits for the API server, may outlast the lease.
            if not self._elector.step(self._monotonic(), self._wall()):
                with self._lock:
                    self._woken |= woken  # for when it leads again
                return
            key = named(item)
            if key not in keys or item["metadata"].get("deletionTimestamp"):
                continue
            try:
                self._reconciler.reconcile(
                    item, self._readings.get(key), self._wall(), owner=owner[key], wake=key in woken
                )
            except TemporaryError as error:
                log.warning("%s/%s: %s", *key, error)
            except Exception:  # one version's surprise must not stop the others; it is logged with its trace
                log.exception("%s/%s: left as it is until the next look", *key)
