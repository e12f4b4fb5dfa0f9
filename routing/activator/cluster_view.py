"""ClusterView: the activator's own watched copy of what it must know of versions: ready pods, limits, starts."""

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from headrace.contract import names
from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER, CAPACITY_AVAILABLE, AutoscalerSpec
from headrace.kube.api_server import ApiServer, Object
from headrace.kube.informer import Informer
from headrace.kube.watched import Watched
from headrace.routing.activator import hold_metrics
from headrace.routing.activator.admission import VersionView
from headrace.routing.snapshot import PodAddress, ready_pods

SLICES: Final = "/apis/discovery.k8s.io/v1/endpointslices"


class Scaler(NamedTuple):
    """What is read of an AutopilotPodAutoscaler."""

    concurrency: int
    """Requests that one pod admits at once; 1 until the autoscaler has said."""
    start_seconds: float
    """As measured by the autoscaler; until then as its spec expects."""
    failure: str = ""
    """Why pods cannot start; empty where nothing keeps them."""
    failing_since: float = 0.0
    """Unix seconds."""


UNKNOWN: Final = Scaler(1, AutoscalerSpec.cold_start_seconds)
FAILING_SECONDS: Final = 30.0
"""For how long pods must have failed until nobody waits for them: on a busy node the kubelet fails now and then to make
a container, and makes it a moment later."""


def read_scaler(item: Object) -> Scaler:
    status, spec = item.get("status") or {}, item.get("spec") or {}
    failing = [
        condition
        for condition in status.get("conditions") or ()
        if condition.get("type") == CAPACITY_AVAILABLE.name and condition.get("reason") == "PodsFailing"
    ]
    measured = (status.get("coldStart") or {}).get("seconds")
    expected = spec.get("coldStartSeconds", AutoscalerSpec.cold_start_seconds)
    return Scaler(
        concurrency=max(1, int(status.get("concurrency", 1))),
        start_seconds=float(expected if measured is None else measured),
        failure=(failing[0].get("message") or failing[0]["reason"]) if failing else "",
        failing_since=_at(failing[0].get("lastTransitionTime")) if failing else 0.0,
    )


def _at(moment: str | None) -> float:
    """Unix seconds of RFC 3339 text; 0, which is long ago, where there is none."""
    return datetime.datetime.fromisoformat(moment).timestamp() if moment else 0.0


def view_of(name: str, scaler: Scaler, now: float) -> VersionView:
    """What is known at `now`, in Unix seconds, of the starts of a version."""
    fails = bool(scaler.failure) and now - scaler.failing_since >= FAILING_SECONDS
    return VersionView(
        name=name,
        start_seconds=scaler.start_seconds,
        failure=scaler.failure if fails else "",
        is_new=scaler is UNKNOWN,  # a deployment makes the autoscaler's object after the version's first ready pod
    )


def read_slice(item: Object) -> Object:
    """What is read of an EndpointSlice."""
    metadata = item["metadata"]
    endpoints = [
        {"addresses": each.get("addresses"), "conditions": each.get("conditions")}
        for each in item.get("endpoints") or ()
    ]
    kept: dict[str, Any] = {"addressType": item.get("addressType", "IPv4"), "ports": item.get("ports")}
    described = {"labels": metadata.get("labels") or {}, "namespace": metadata.get("namespace", "")}
    return {"metadata": described, "endpoints": endpoints, **kept}


class ClusterView(Watched):
    """Reads by threads of its own; `changed` is called by them after each change of a pod's readiness."""

    def __init__(self, server: ApiServer, changed: Callable[[], None]) -> None:
        def failed(resource: str) -> Callable[[], None]:
            return hold_metrics.watch_failures.labels(resource).inc

        self._slices: Informer[Object] = Informer(
            server,
            SLICES,
            transform=read_slice,
            group=lambda item: item["metadata"]["namespace"],
            label_selector=names.ENDPOINT_LABEL,
            changed=changed,
            failed=failed("endpointslices"),
        )
        self._scalers: Informer[Scaler] = Informer(
            server, AUTOPILOT_POD_AUTOSCALER.path, transform=read_scaler, failed=failed(names.APA_PLURAL)
        )
        super().__init__(self._slices, self._scalers)

    def pods(self, name: str) -> Mapping[PodAddress, int]:
        """Ready pods of `<endpoint>/<version>`, each with the requests that it admits at once."""
        endpoint, _, version = name.partition("/")
        slices: Sequence[Object] = self._slices.of(names.endpoint_namespace(endpoint))
        return dict.fromkeys(ready_pods(slices).get((endpoint, version), ()), self._scaler(name).concurrency)

    def view(self, name: str) -> VersionView:
        """What is known of the version's starts."""
        return view_of(name, self._scaler(name), time.time())

    def _scaler(self, name: str) -> Scaler:
        endpoint, _, version = name.partition("/")
        return next(iter(self._scalers.of((names.endpoint_namespace(endpoint), version))), UNKNOWN)
