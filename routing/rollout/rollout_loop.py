"""Loop: every two seconds, a look at all rollouts."""

from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from headrace.kube.api_server import Key, Object, named
from headrace.kube.leading_loop import LeadingLoop, surviving
from headrace.kube.lease import Elector
from headrace.routing.rollout import telemetry
from headrace.routing.rollout.answer_comparer import Pair
from headrace.routing.rollout.balancer_counters import Counts
from headrace.routing.rollout.engine import Compared
from headrace.routing.rollout.reconcile import Reconciler, Seen
from headrace.routing.rollout.rollout_cluster import Cluster
from headrace.routing.snapshot import Endpoint, RoutablePods, accepted_endpoints, creation_times, pod_counts, ready_pods
from headrace.routing.snapshot.endpoint_health import Pods

PERIOD_SECONDS: Final = 2.0


class Source(Protocol):
    """Where versions' counters are read; `balancer_counters.BalancerCounters` in production."""

    def read(self, endpoint: str, balancers: Collection[str]) -> Counts | None:
        """Counts of the endpoint's versions; None when they are not known."""

    def forget(self, keep: Collection[str]) -> None:
        """Forgets all endpoints but these."""


class Comparer(Protocol):
    """Who compares predictions; `answer_comparer.AnswerComparer` in production."""

    def want(self, pairs: Collection[Pair]) -> None:
        """From now on these are compared, and no others."""

    def total(self, endpoint: str, new: str) -> Compared:
        """What was compared so far."""


class Loop(LeadingLoop):
    """The controller's one thread of decisions."""

    def __init__(
        self,
        cluster: Cluster,
        source: Source,
        reconciler: Reconciler,
        elector: Elector,
        comparer: Comparer,
        **how: Any,
    ) -> None:
        """`how` are `synced` and the clocks of LeadingLoop."""
        super().__init__(elector, period=PERIOD_SECONDS, **how)
        self._cluster, self._source, self._reconciler, self._comparer = cluster, source, reconciler, comparer

    def tick(self) -> None:
        """One look at every endpoint that asks for rollouts, if this replica leads."""
        leading = self.leads()
        telemetry.leading.set(1 if leading else 0)
        if not leading:
            self._reconciler.release()
            self._source.forget(())
            self._comparer.want(())
            return
        items = {
            named(item): item for item in self._cluster.endpoints() if not item["metadata"].get("deletionTimestamp")
        }
        accepted, _ = accepted_endpoints(items.values())
        endpoints = {endpoint.key: endpoint for endpoint in accepted if endpoint.spec.rollout is not None}
        self._reconciler.release(keep=endpoints)
        slices = self._cluster.slices()
        pods, created = ready_pods(slices), creation_times(slices)
        ready = pod_counts(pods)
        balancers = {pod.ip for pod in RoutablePods().updated([], self._cluster.balancer_slices()).balancers.routable}
        under_way = {key for key, endpoint in endpoints.items() if self._reconciler.is_under_way(items[key], endpoint)}
        telemetry.under_way.set(len(under_way))
        self._source.forget({key[1] for key in under_way})
        self._comparer.want(self._pairs(items, endpoints, pods))
        for key, endpoint in endpoints.items():
            if not self.leads():
                return
            counts = self._source.read(key[1], balancers) if key in under_way else None
            (new,) = endpoint.weighted
            seen = Seen(
                ready=ready.get(key[1], {}),
                created=created.get(key[1], {}),
                counts=counts,
                compared=self._comparer.total(key[1], new.name),
            )
            with surviving(key):
                self._reconciler.reconcile(items[key], endpoint, seen, self._wall())

    def _pairs(self, items: Mapping[Key, Object], endpoints: Mapping[Key, Endpoint], pods: Pods) -> list[Pair]:
        """Versions whose predictions are to be compared now."""
        found = []
        for key, endpoint in endpoints.items():
            versions = self._reconciler.versions_compared(items[key], endpoint)
            if versions is not None:
                hosts = tuple(pod.ip for pod in pods.get((key[1], versions[1]), ()))
                found.append(Pair(endpoint=key[1], new=versions[0], hosts=hosts))
        return found
