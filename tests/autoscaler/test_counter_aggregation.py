"""Totals: what leaves, restarts, lies or is late."""

import math

import pytest

from headrace.autoscaler.counter_aggregation import READS_REMEMBERED, Targets, Totals
from headrace.autoscaler.exposition import Sample
from headrace.contract import metrics

KEY = ("endpoint-fraud", "v1")
LABELS = {"endpoint": "fraud", "version": "v1"}


def _front(address: str, arrived: float, *, executing: float = 0.0, limit: int = 4) -> list[Sample]:
    values = {
        metrics.FRONT_ARRIVED: arrived,
        metrics.FRONT_COMPLETED: arrived,
        metrics.FRONT_EXECUTING_SECONDS: arrived * 0.1,
        metrics.FRONT_QUEUED_SECONDS: 0.0,
        metrics.FRONT_EXECUTING: executing,
        metrics.FRONT_QUEUED: 0.0,
        metrics.FRONT_CONCURRENCY_LIMIT: limit,
        metrics.FRONT_CPU_RATIO: 0.5,
    }
    return [Sample(address, name, LABELS, value) for name, value in values.items()]


def _envoy(address: str, sent: float, *, retried: float = 0.0, unserved: float = 0.0) -> list[Sample]:
    labels = {metrics.ENVOY_CLUSTER_LABEL: "fraud/v1"}
    return [
        Sample(address, metrics.ENVOY_REQUESTS, labels, sent),
        Sample(address, metrics.ENVOY_RETRIES, labels, retried),
        Sample(address, metrics.ENVOY_UNHEALTHY, labels, unserved),
    ]


class Scrapes:
    """Totals fed by hand."""

    def __init__(self, *pods: str, balancers: tuple[str, ...] = ()) -> None:
        self.totals = Totals()
        self.targets = Targets(
            pods={KEY: {f"pod-{address}": address for address in pods}}, balancers={name: name for name in balancers}
        )
        self.now = 1000.0

    def __call__(self, *samples: list[Sample]) -> float | None:
        """Arrivals in total after one more scrape; None: no data."""
        self.now += 1
        found = self.totals.read([s for part in samples for s in part], self.targets, taken_at={KEY: self.now})[KEY]
        self.reading = found
        return None if found.load is None else found.load.arrived


def test_a_past_is_no_load_and_a_new_pod_counts_from_zero() -> None:
    scrape = Scrapes("a", "b")

    assert scrape(_front("a", 1000)) == 0
    assert scrape(_front("a", 1010)) == 10
    assert scrape(_front("a", 1020), _front("b", 5)) == 25


def test_a_pod_that_leaves_takes_nothing_away() -> None:
    scrape = Scrapes("a", "b")
    scrape(_front("a", 100), _front("b", 100))
    assert scrape(_front("a", 110), _front("b", 110)) == 20

    assert scrape(_front("a", 120)) == 30


def test_a_pod_that_restarts_counts_on() -> None:
    scrape = Scrapes("a")
    scrape(_front("a", 100))
    scrape(_front("a", 110))

    assert scrape(_front("a", 3)) == 13


def test_the_balancer_knows_the_demand_better_than_the_pods() -> None:
    scrape = Scrapes("a", balancers=("lb",))
    scrape(_front("a", 100), _envoy("lb", 500))

    assert scrape(_front("a", 130), _envoy("lb", 540, retried=10, unserved=5)) == 35


def test_demand_without_a_pod_is_seen_by_the_balancer() -> None:
    scrape = Scrapes(balancers=("lb",))
    scrape(_envoy("lb", 0))

    assert scrape(_envoy("lb", 0, unserved=7)) == 7


def test_a_balancer_that_misses_a_scrape_is_no_load_of_zero() -> None:
    scrape = Scrapes("a", balancers=("one", "two"))
    scrape(_front("a", 0), _envoy("one", 0), _envoy("two", 0))
    scrape(_front("a", 20), _envoy("one", 10), _envoy("two", 10))

    assert scrape(_front("a", 40), _envoy("one", 20)) is None
    assert scrape(_front("a", 60), _envoy("one", 30), _envoy("two", 30)) == 60


def test_a_dead_balancer_does_not_freeze_the_signal() -> None:
    scrape = Scrapes("a", balancers=("one", "two"))
    scrape(_front("a", 0), _envoy("one", 0), _envoy("two", 0))

    heard = [scrape(_front("a", 20 * n), _envoy("one", 10 * n)) for n in range(1, 8)]

    assert heard[0] is None
    assert heard[-1] == 70


def test_pods_that_cannot_be_heard_are_no_data() -> None:
    scrape = Scrapes("a")
    scrape(_front("a", 10))

    assert scrape() is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_number_that_counts_nothing_is_handed_on_for_the_engine_to_judge(value: float) -> None:
    scrape = Scrapes("a")
    scrape(_front("a", 10))

    seen = scrape(_front("a", value))

    assert seen is not None
    assert not (math.isfinite(seen) and seen >= 0)
    assert scrape(_front("a", 12)) == 2


def test_gauges_are_summed_averaged_and_limits_told_apart() -> None:
    scrape = Scrapes("a", "b")
    scrape(_front("a", 1, executing=3, limit=4), _front("b", 1, executing=2, limit=6))

    assert scrape.reading.load is not None
    assert scrape.reading.load.executing == 5
    assert scrape.reading.utilisation.cpu == 0.5
    assert scrape.reading.utilisation.gpu is None
    assert scrape.reading.limits == {4, 6}


def test_gpu_numbers_find_their_version_by_pod() -> None:
    scrape = Scrapes("a")
    labels = {"namespace": "endpoint-fraud", "pod": "pod-a"}
    gpu = [
        Sample("node", metrics.DCGM_GPU_UTILISATION, labels, 80.0),
        Sample("node", metrics.DCGM_MEMORY_USED, labels, 30.0),
        Sample("node", metrics.DCGM_MEMORY_FREE, labels, 10.0),
        Sample("node", metrics.DCGM_TENSOR_ACTIVE, {**labels, "pod": "another"}, 1.0),
    ]
    scrape(_front("a", 1), gpu)

    assert scrape.reading.utilisation.gpu == pytest.approx(0.8)
    assert scrape.reading.utilisation.gpu_memory == pytest.approx(0.75)
    assert scrape.reading.utilisation.tensor is None


def test_a_pod_that_was_silent_has_not_grown_by_all_that_it_ever_counted() -> None:
    scrape = Scrapes("a", "b")
    scrape(_front("a", 1000), _front("b", 1000))
    for _ in range(READS_REMEMBERED - 1):
        scrape(_front("a", 1000))

    assert scrape(_front("a", 1000), _front("b", 1005)) == 5


def test_a_pod_that_never_came_back_is_forgotten() -> None:
    scrape = Scrapes("a", "b")
    scrape(_front("a", 1000), _front("b", 1000))
    for _ in range(2 * READS_REMEMBERED):
        scrape(_front("a", 1000))

    # Its address is another pod's by now, which has counted all of this from zero.
    assert scrape(_front("a", 1000), _front("b", 1005)) == 1005


def test_a_version_that_left_and_came_back_has_a_past_again() -> None:
    scrape = Scrapes("a")
    scrape(_front("a", 1000))
    assert scrape(_front("a", 1010)) == 10
    targets, scrape.targets = scrape.targets, Targets(pods={}, balancers={})
    assert scrape.totals.read(_front("a", 1020), scrape.targets, taken_at={}) == {}
    scrape.targets = targets

    assert scrape(_front("a", 1030)) == 0


def test_who_is_known_to_a_balancer() -> None:
    scrape = Scrapes("a", balancers=("lb",))
    scrape(_front("a", 1))
    assert not scrape.totals.balanced(KEY)

    scrape(_front("a", 1), _envoy("lb", 0))
    assert scrape.totals.balanced(KEY)
    assert not scrape.totals.balanced(("endpoint-other", "v1"))


def _calls(address: str, seconds: float) -> list[Sample]:
    values = {
        metrics.FRONT_CALL_FIXED_SECONDS: seconds,
        metrics.FRONT_CALL_REQUEST_SECONDS: seconds / 100,
        metrics.FRONT_CALL_REQUESTS_MAX: 256.0,
        metrics.FRONT_CALL_MEAN_SECONDS: seconds / 10,
        metrics.FRONT_CALLS_AT_ONCE: 1.0,
        metrics.FRONT_DEFAULT_LIMIT: 256.0,
    }
    return [Sample(address, name, LABELS, value) for name, value in values.items()]


def test_what_calls_cost_is_the_mean_of_the_pods_that_tell() -> None:
    scrape = Scrapes("a", "b", "old")
    scrape(_front("a", 10), _calls("a", 0.002), _front("b", 10), _calls("b", 0.004), _front("old", 10))

    assert scrape.reading.calls is not None
    assert scrape.reading.calls.fixed_seconds == pytest.approx(0.003)
    assert scrape.reading.calls.at_once == 1.0
    assert scrape.reading.default_limit == 256


def test_fronts_that_tell_nothing_of_calls_leave_them_unknown() -> None:
    scrape = Scrapes("old")
    scrape(_front("old", 10))

    assert scrape.reading.calls is None
    assert scrape.reading.default_limit is None


def test_a_curve_that_is_no_number_is_unknown() -> None:
    scrape = Scrapes("a")
    scrape(_front("a", 10), _calls("a", math.nan))

    assert scrape.reading.calls is None
