"""Sources of load: where the load of every version is read, from Prometheus or straight from the balancers and pods."""

import itertools
import logging
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import requests
import urllib3
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect

from headrace.autoscaler import counter_aggregation as counters
from headrace.autoscaler import telemetry
from headrace.autoscaler.counter_aggregation import Reading, Targets, Totals, version_of
from headrace.autoscaler.exposition import Sample, from_query, parse
from headrace.autoscaler.fleet import bracketed
from headrace.contract import metrics, names
from headrace.kube.api_server import Key

log = logging.getLogger(__name__)

SCRAPE_SECONDS = 0.8
"""Longest wait for one source: less than the period, so that a dead pod delays nobody."""
_LIMIT = "limit"
"""Label under which Prometheus gives the value that it counted."""


class Source(Protocol):
    def read(self, targets: Targets, now: float) -> dict[Key, Reading]:
        """One reading for each version of the targets; `load` is None where nothing is known."""


class DirectSource:
    """Reads the balancers' and the pods' own expositions."""

    def __init__(
        self, *, pods_port: int = names.FRONT_ADMIN_PORT, balancers_port: int = names.ENVOY_STATS_PORT
    ) -> None:
        self._pages = {
            "pod": (f":{pods_port}{metrics.METRICS_PATH}", counters.FRONT_NAMES),
            "balancer": (f":{balancers_port}{metrics.ENVOY_STATS_PATH}", counters.ENVOY_NAMES),
        }
        self._totals = Totals()
        self._http = urllib3.PoolManager(num_pools=512, maxsize=1, retries=False)
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="scrape")

    def read(self, targets: Targets, now: float) -> dict[Key, Reading]:
        pods = (address for pods in targets.pods.values() for address in pods.values())
        jobs = [self._threads.submit(self._scrape, "pod", address) for address in pods]
        jobs += [self._threads.submit(self._scrape, "balancer", address) for address in targets.balancers.values()]
        samples = [sample for job in jobs for sample in job.result()]
        return self._totals.read(samples, targets, taken_at=dict.fromkeys(targets.pods, now))

    def _scrape(self, source: str, address: str) -> list[Sample]:
        page, wanted = self._pages[source]
        try:
            response = self._http.request("GET", f"http://{bracketed(address)}{page}", timeout=SCRAPE_SECONDS)
        except urllib3.exceptions.HTTPError as error:
            telemetry.scrape_failures.labels(source).inc()
            log.debug("scrape of %s failed: %s", address, error)
            return []
        if response.status != 200:
            telemetry.scrape_failures.labels(source).inc()
            return []
        return list(parse(response.data.decode(errors="replace"), instance=address, wanted=wanted))


class PrometheusSource:
    """Asks Prometheus, which scrapes each second; seven instant queries serve all versions.

    It sums, averages and counts what has no history. What is counted is read by instance, all of it in one query, so
    that seconds and requests are of the same scrape, and without labels that nobody reads here: they are more than half
    of an answer. What fronts saw arrive is asked only as long as some version is not known to a balancer.
    """

    def __init__(self, url: str) -> None:
        # The client's own retries wait for seconds between attempts; the next tick is the better retry.
        self._prometheus = PrometheusConnect(url=url, retry=urllib3.Retry(total=0, raise_on_status=False))
        self._totals = Totals()

    def read(self, targets: Targets, now: float) -> dict[Key, Reading]:
        try:
            *results, limits, times, newest = map(self._query, self._queries(targets))
            taken_at = {version_of(time.labels): time.value for time in from_query(times)}
            # What arrives is the balancers' word, so a second is what lies between two of their scrapes. Pods are
            # scraped at moments of their own: by the latest of them, a pod that comes or goes makes seconds long or
            # short, and a second's requests in a tenth of it were once a load tenfold.
            for time in from_query(newest):
                of_balancers = (key for key in targets.pods if key not in taken_at or self._totals.balanced(key))
                taken_at |= dict.fromkeys(of_balancers, time.value)
            samples = itertools.chain(*map(from_query, results), map(_limit, from_query(limits)))
            return self._totals.read(samples, targets, taken_at=taken_at)
        except (requests.RequestException, PrometheusApiClientException, ValueError, TypeError, KeyError) as error:
            telemetry.scrape_failures.labels("prometheus").inc()
            log.warning("Prometheus cannot be read, present counts are held: %.300s", error)
            return {}

    def _queries(self, targets: Targets) -> list[str]:
        by = f"{metrics.ENDPOINT_METRIC_LABEL}, {metrics.VERSION_METRIC_LABEL}"
        counted = counters.ENVOY_NAMES | frozenset(counters.FRONT_COUNTERS)
        if all(map(self._totals.balanced, targets.pods)):
            counted -= {metrics.FRONT_ARRIVED}
        return [
            # One source has one series: `max` takes no one's word twice where several Prometheis wrote it down.
            f"max by (__name__, instance, {by}, {metrics.ENVOY_CLUSTER_LABEL}) ({_named(counted)})",
            f"sum by (__name__, {by}) ({_named(counters.SUMMED)})",
            f"avg by (__name__, {by}) ({_named(counters.AVERAGED)} >= 0)",
            _named(counters.GPU_NAMES),
            f'count_values by ({by}) ("{_LIMIT}", {metrics.FRONT_CONCURRENCY_LIMIT})',
            f"max by ({by}) (timestamp({metrics.FRONT_ARRIVED}))",
            f"max(timestamp({metrics.ENVOY_REQUESTS}))",
        ]

    def _query(self, query: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self._prometheus.custom_query(query, timeout=3)
        return result


def _limit(count: Sample) -> Sample:
    """A limit in force, out of the count of pods that have it."""
    return Sample(count.instance, metrics.FRONT_CONCURRENCY_LIMIT, count.labels, float(count.labels[_LIMIT]))


def _named(wanted: Collection[str]) -> str:
    """Selects all series of these names."""
    return f'{{__name__=~"{"|".join(sorted(wanted))}"}}'
