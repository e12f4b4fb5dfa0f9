"""Loop: once a second, a look at all versions."""

from collections.abc import Collection, Mapping
from typing import Any

from headrace.autoscaler import telemetry
from headrace.autoscaler.cluster import Cluster
from headrace.autoscaler.counter_aggregation import Reading, Targets
from headrace.autoscaler.fleet import bracketed, fleet_of
from headrace.autoscaler.held_requests import NOTHING_HELD, Held, HeldRequests
from headrace.autoscaler.load_sources import Source
from headrace.autoscaler.reconcile import Reconciler, owners
from headrace.contract import metrics, names
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import Key, Object, named
from headrace.kube.leading_loop import LeadingLoop, surviving
from headrace.kube.lease import Elector

PERIOD_SECONDS = 1.0
"""The period of the scrapes; the engine acts at it when requests queue."""


class Loop(LeadingLoop):
    """The controller's one thread of decisions."""

    def __init__(
        self,
        cluster: Cluster,
        source: Source,
        reconciler: Reconciler,
        elector: Elector,
        *,
        held: HeldRequests | None = None,
        **how: Any,
    ) -> None:
        """`how` are `synced` and the clocks of LeadingLoop."""
        super().__init__(elector, period=PERIOD_SECONDS, **how)
        self._cluster, self._source, self._reconciler = cluster, source, reconciler
        self._held = HeldRequests() if held is None else held
        self._held.on_news(self.rouse)

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

    def run(self) -> None:
        """Until stopped; gives the lease up at the end, and asks the activators no more."""
        super().run()
        self._held.stop()

    def wake(self) -> None:
        """Orders a first pod for each version that sleeps and has requests that wait, if this replica leads."""
        counts = self._held.counts()
        if not counts or not self._elector.leading or not self.leads():
            return
        items = self._cluster.autoscalers()
        owner = owners(items)
        for item in items:
            held = counts.get(key := named(item), NOTHING_HELD)
            target = self._cluster.deployment(key[0], item["spec"].get("targetRef", {}).get("name", ""))
            asleep = target is not None and target.replicas == 0 and not item["metadata"].get("deletionTimestamp")
            if held.requests > 0 and asleep:
                self._look(item, None, owner=owner[key], held=held)

    def tick(self) -> None:
        """One look at every version, if this replica leads."""
        leading = self.leads()
        telemetry.leading.set(1 if leading else 0)
        if not leading:
            self._reconciler.release()
            return
        with telemetry.tick_seconds.time():
            targets = self._targets()
            self._held.follow(fleet_of(self._cluster.activators()).ready)
            telemetry.versions.set(len(targets.pods))
            readings = self._source.read(targets, self._wall())
            self._reconciler.release(keep=targets.pods)
            self._reconcile(readings, keys=targets.pods)

    def _targets(self) -> Targets:
        pods = {key: self._reconciler.fleets.of(key).ready for key in map(named, self._cluster.autoscalers())}
        return Targets(pods=pods, balancers=fleet_of(self._cluster.balancers()).ready)

    def _reconcile(self, readings: Mapping[Key, Reading], *, keys: Collection[Key]) -> None:
        items = self._cluster.autoscalers()
        owner, held = owners(items), self._held.counts()
        for item in items:
            if not self.leads():
                return
            key = named(item)
            if key not in keys or item["metadata"].get("deletionTimestamp"):
                continue
            self._look(item, readings.get(key), owner=owner[key], held=held.get(key, NOTHING_HELD))

    def _look(self, item: Object, reading: Reading | None, *, owner: Key, held: Held) -> None:
        with surviving(named(item)):
            self._reconciler.reconcile(item, reading, self._wall(), owner=owner, held=held)
