"""Signals from expositions to totals: what leaves, restarts, lies or is late."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headrace.autoscaler.exposition import Sample, from_query, parse
from headrace.autoscaler.metrics import FRONT_NAMES, DirectSource, PrometheusSource, Targets, Totals
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


def test_expositions_are_read_as_they_are_written() -> None:
    text = (
        "# TYPE headrace_requests_arrived_total counter\n"
        'headrace_requests_arrived_total{endpoint="fraud",version="v\\"1"} 12\n'
        "headrace_requests_arrived_total garbage\n"
        "other_metric 5\n"
        'headrace_requests_queued{endpoint="fraud",version="v1"} NaN\n'
    )

    samples = list(parse(text, instance="10.0.0.1", wanted=FRONT_NAMES))

    assert [sample.name for sample in samples] == [metrics.FRONT_ARRIVED, metrics.FRONT_QUEUED]
    assert samples[0].value == 12
    assert math.isnan(samples[1].value)


def test_query_results_lose_their_port_and_unreadable_values() -> None:
    result = [
        {"metric": {"__name__": "m", "instance": "10.0.0.1:8002", "endpoint": "fraud"}, "value": [1.0, "3"]},
        {"metric": {"__name__": "m"}, "value": [1.0, "three"]},
        {"metric": {"__name__": "m"}},
    ]

    assert list(from_query(result)) == [Sample("10.0.0.1", "m", {"endpoint": "fraud"}, 3.0)]


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[str], tuple[int, str]]], int]]:
    """Starts a small HTTP server for an answering function of the path; gives its port."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str], tuple[int, str]]) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = answer(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_pods_and_balancers_are_scraped_directly(serve: Callable[..., int]) -> None:
    count = {"n": 0}

    def front(_: str) -> tuple[int, str]:
        count["n"] += 10
        return 200, f'{metrics.FRONT_ARRIVED}{{endpoint="fraud",version="v1"}} {count["n"]}\n'

    port = serve(front)
    source = DirectSource(pods_port=port, balancers_port=1)
    targets = Targets(pods={KEY: {"pod-a": "127.0.0.1"}}, balancers={})
    source.read(targets, 1.0)

    reading = source.read(targets, 2.0)[KEY]

    assert reading.load is not None
    assert reading.load.arrived == 10
    assert reading.taken_at == 2.0


def test_prometheus_answers_for_all_versions(serve: Callable[..., int]) -> None:
    count = {"n": 0}

    def prometheus(path: str) -> tuple[int, str]:
        labels = {"endpoint": "fraud", "version": "v1"}
        if "timestamp" in path:
            result = [{"metric": labels, "value": [5.0, "1234.5"]}] if "endpoint" in path else []
        elif "sum+by" in path or "avg+by" in path:
            name, value = (metrics.FRONT_QUEUED, "7") if "sum+by" in path else (metrics.FRONT_CPU_RATIO, "0.25")
            result = [{"metric": {"__name__": name, **labels}, "value": [5.0, value]}]
        elif "count_values+by" in path:
            result = [{"metric": {**labels, "limit": limit}, "value": [5.0, "3"]} for limit in ("4", "6")]
        else:
            count["n"] += 10
            series = {"__name__": metrics.FRONT_ARRIVED, "instance": "10.0.0.1:8002", **labels}
            result = [{"metric": series, "value": [5.0, str(count["n"])]}]
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})

    source = PrometheusSource(f"http://127.0.0.1:{serve(prometheus)}")
    targets = Targets(pods={KEY: {"pod-a": "10.0.0.1"}}, balancers={})
    source.read(targets, 1.0)

    reading = source.read(targets, 2.0)[KEY]

    assert reading.load is not None
    assert (reading.load.arrived, reading.load.queued, reading.utilisation.cpu) == (10, 7, 0.25)
    assert reading.limits == {4, 6}
    assert reading.taken_at == 1234.5


@pytest.mark.parametrize("answer", [(500, "broken"), (200, "not json"), (200, '{"data": {"result": 5}}')])
def test_a_prometheus_that_is_ill_is_no_data(serve: Callable[..., int], answer: tuple[int, str]) -> None:
    source = PrometheusSource(f"http://127.0.0.1:{serve(lambda _: answer)}")

    assert source.read(Targets(pods={KEY: {}}, balancers={}), 1.0) == {}
