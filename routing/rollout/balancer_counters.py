"""BalancerCounters: what the load balancers have counted of an endpoint's versions, summed into totals that only grow.

A page of one endpoint is asked for, not of all: it has some hundred lines, whatever the number of endpoints. A balancer
that restarts counts from zero, and one that goes takes its counts along, so increases are summed, balancer by balancer.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from headrace.contract import metrics, names
from headrace.routing.rollout import telemetry
from headrace.routing.rollout.engine import VersionCounters

log = logging.getLogger(__name__)

SECONDS: Final = 1.0
"""Longest wait for one balancer."""
_COMPLETED: Final = "envoy_cluster_upstream_rq_completed"
_BY_CLASS: Final = "envoy_cluster_upstream_rq_xx"
_BY_CODE: Final = "envoy_cluster_upstream_rq"
_BUCKET: Final = "envoy_cluster_upstream_rq_time_bucket"
_TIMED: Final = "envoy_cluster_upstream_rq_time_count"
_STATISTICS: Final = r"upstream_rq_(completed|[45]xx|429|time)$"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """An endpoint's versions as the balancers have counted them."""

    versions: dict[str, VersionCounters]
    bounds_milliseconds: tuple[float, ...]


@dataclass
class _Totals:
    """Of one endpoint."""

    last: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """By balancer and version, what it said last."""
    sums: dict[str, dict[str, float]] = field(default_factory=dict)
    """By version."""
    known: set[str] = field(default_factory=set)
    """Balancers that were read before."""


class BalancerCounters:
    """Asks balancers at their statistics port. Not for several threads at once."""

    def __init__(self, *, port: int = names.ENVOY_STATS_PORT) -> None:
        self._port = port
        self._http = urllib3.PoolManager(num_pools=64, maxsize=1, retries=False)
        self._totals: dict[str, _Totals] = {}

    def read(self, endpoint: str, balancers: Collection[str]) -> Counts | None:
        """The counts of the endpoint's versions; None where a balancer could not be asked: what it alone has seen
        would be missing from one version and not from the other."""
        pages = [self._page(endpoint, host) for host in sorted(balancers)]
        if not pages or None in pages:
            return None
        totals = self._totals.setdefault(endpoint, _Totals())
        for host, page in zip(sorted(balancers), pages, strict=True):
            assert page is not None  # None was returned above
            for version, counted in _by_version(endpoint, page).items():
                _grow(totals, (host, version), counted)
        totals.known |= set(balancers)
        return _counts(totals.sums)

    def forget(self, keep: Collection[str]) -> None:
        """Forgets all endpoints but these."""
        self._totals = {name: totals for name, totals in self._totals.items() if name in keep}

    def _page(self, endpoint: str, host: str) -> str | None:
        query = urlencode({"filter": rf"^cluster\.{endpoint}/[a-z0-9-]+\.{_STATISTICS}"})
        address = f"[{host}]" if ":" in host else host
        url = f"http://{address}:{self._port}{metrics.ENVOY_STATS_PATH}?{query}"
        try:
            answer = self._http.request("GET", url, timeout=SECONDS)
        except urllib3.exceptions.HTTPError as error:
            telemetry.read_failures.inc()
            log.debug("balancer %s not asked: %s", host, error)
            return None
        if answer.status != 200:
            telemetry.read_failures.inc()
            return None
        return answer.data.decode(errors="replace")


def _by_version(endpoint: str, page: str) -> dict[str, dict[str, float]]:
    """By version, what one balancer has counted: requests, errors, timed, and by `le` how many took at most so long."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            cluster = sample.labels.get(metrics.ENVOY_CLUSTER_LABEL, "")
            of, _, version = cluster.partition("/")
            if of != endpoint or not version:
                continue
            counted = found.setdefault(version, {"requests": 0.0, "errors": 0.0, "timed": 0.0})
            name = sample.name.removesuffix("_total")  # OpenMetrics' ending of counters, which the parser adds
            if name == _COMPLETED:
                counted["requests"] += sample.value
            elif name == _BY_CLASS and sample.labels.get("envoy_response_code_class") in ("4", "5"):
                counted["errors"] += sample.value
            elif name == _BY_CODE and sample.labels.get("envoy_response_code") == "429":
                counted["errors"] -= sample.value
            elif name == _TIMED:
                counted["timed"] += sample.value
            elif name == _BUCKET and sample.labels["le"] != "+Inf":
                counted[f"{float(sample.labels['le']):g}"] = sample.value  # Envoy writes 1.6000000000000000888
    return found


def _grow(totals: _Totals, key: tuple[str, str], counted: dict[str, float]) -> None:
    last, sums = totals.last.get(key), totals.sums.setdefault(key[1], {})
    if last is None:
        # What a balancer had counted before the first look is the past. It tells nothing of a version without requests.
        last = {} if key[0] in totals.known else counted
    anew = any(value < last.get(name, 0.0) for name, value in counted.items())
    for name, value in counted.items():
        sums[name] = sums.get(name, 0.0) + (value if anew else value - last.get(name, 0.0))
    totals.last[key] = counted


def _counts(sums: dict[str, dict[str, float]]) -> Counts:
    bounds = sorted({name for counted in sums.values() for name in counted if name[0].isdigit()}, key=float)
    versions = {
        version: VersionCounters(
            requests=counted["requests"],
            errors=max(0.0, counted["errors"]),
            timed=counted["timed"],
            within=_rising(counted.get(bound, 0.0) for bound in bounds),
        )
        for version, counted in sums.items()
    }
    return Counts(versions=versions, bounds_milliseconds=tuple(map(float, bounds)))


def _rising(counts: Iterable[float]) -> tuple[float, ...]:
    found: list[float] = []
    for count in counts:
        found.append(max(count, found[-1]) if found else count)
    return tuple(found)
