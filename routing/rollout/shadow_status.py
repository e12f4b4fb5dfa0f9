"""What is compared of an endpoint's shadows, and its `status.shadows`. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from headrace.contract.codec import read
from headrace.contract.declaration import Style
from headrace.contract.model_endpoint import ServedVersion
from headrace.contract.shadow import DIFFERENCES_KEPT, DifferingPrediction, ShadowStatus
from headrace.routing.rollout.answer_comparer import Pair
from headrace.routing.rollout.balancer_counters import Counts
from headrace.routing.rollout.engine import Compared, VersionCounters
from headrace.routing.snapshot.endpoint_health import Pods
from headrace.routing.snapshot.world import Endpoint

KNOWN_REQUESTS: Final = 50
"""From so many requests on a median is told."""


def serving(endpoint: Endpoint) -> ServedVersion:
    """The version that shadows are compared with: the one with the greatest weight."""
    return max(endpoint.weighted, key=lambda version: version.weight)


def pairs(endpoints: Iterable[Endpoint], pods: Pods) -> list[Pair]:
    """What is to be compared now: shadows of endpoints that are not stopped."""
    found = []
    for endpoint in endpoints:
        if not endpoint.spec.stopped:
            hosts = tuple(pod.ip for pod in pods.get((endpoint.name, serving(endpoint).name), ()))
            found += [Pair(endpoint=endpoint.name, new=version.name, hosts=hosts) for version in endpoint.shadows]
    return found


def said(item: Mapping[str, Any]) -> dict[tuple[str, str], ShadowStatus]:
    """What an object says of its shadows, by version and the version beside it."""
    told = (item.get("status") or {}).get("shadows") or ()
    found = [read(ShadowStatus, each, Style.KUBERNETES)[0] for each in told]
    return {(status.version, status.beside): status for status in found if status is not None}


def begun(version: str, beside: str) -> ShadowStatus:
    """Of a pair of which nothing was compared yet."""
    return ShadowStatus(version=version, beside=beside, predictions=0, differing=0, differing_percent=0.0)


def with_more(
    status: ShadowStatus, compared: Compared, differences: Sequence[DifferingPrediction], counts: Counts | None
) -> ShadowStatus:
    """The status after more predictions were compared; `counts` are of all requests, None where they are not known."""
    predictions = status.predictions + round(compared.answers)
    differing = status.differing + round(compared.changed)
    found = replace(
        status,
        predictions=predictions,
        differing=differing,
        differing_percent=round(100 * differing / predictions, 2) if predictions else 0.0,
        differences=(*status.differences, *differences)[-DIFFERENCES_KEPT:],
    )
    if counts is None:
        return found
    own, other = (typical_milliseconds(counts, version) for version in (status.version, status.beside))
    return replace(found, typical_milliseconds=own, beside_typical_milliseconds=other)


def typical_milliseconds(counts: Counts, version: str) -> float | None:
    """The bound of the histogram within which half of the version's requests were; None of few requests."""
    counters = counts.versions.get(version, VersionCounters())
    if counters.timed < KNOWN_REQUESTS:
        return None
    bounded = zip(counts.bounds_milliseconds, counters.within, strict=True)
    return next((bound for bound, within in bounded if within >= counters.timed / 2), None)
