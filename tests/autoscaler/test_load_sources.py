"""Sources of load: Prometheus, and pods and balancers asked directly."""

import itertools
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headrace.autoscaler.counter_aggregation import Targets
from headrace.autoscaler.load_sources import DirectSource, PrometheusSource
from headrace.contract import metrics

KEY = ("endpoint-fraud", "v1")


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
        elif "DCGM" in path:
            result = [
                {"metric": {"__name__": metrics.DCGM_GPU_UTILISATION, **gpu}, "value": [5.0, "50"]}
                for gpu in ({"namespace": KEY[0], "pod": "pod-a"}, {"namespace": KEY[0], "pod": "of-another"})
            ]
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
    assert reading.utilisation.gpu == 0.5
    assert reading.limits == {4, 6}
    assert reading.taken_at == 1234.5


def test_what_fronts_saw_arrive_is_asked_until_balancers_know_every_version(serve: Callable[..., int]) -> None:
    asked: list[str] = []
    known = {"fraud/v1"}

    def prometheus(path: str) -> tuple[int, str]:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["query"][0]
        result = []
        if metrics.ENVOY_REQUESTS in query and "timestamp" not in query:
            asked.append(query)
            series = {"__name__": metrics.ENVOY_REQUESTS, "instance": "lb:9902"}
            result = [
                {"metric": {**series, metrics.ENVOY_CLUSTER_LABEL: cluster}, "value": [5.0, "1"]} for cluster in known
            ]
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})

    source = PrometheusSource(f"http://127.0.0.1:{serve(prometheus)}")

    def asks(*versions: str) -> bool:
        source.read(Targets(pods={(KEY[0], version): {} for version in versions}, balancers={}), 1.0)
        return metrics.FRONT_ARRIVED in asked[-1]

    assert asks("v1")
    assert not asks("v1")
    assert asks("v1", "v2")
    known.add("fraud/v2")
    assert asks("v1", "v2")
    assert not asks("v1", "v2")


def test_a_pod_that_goes_makes_no_second_shorter(serve: Callable[..., int]) -> None:
    """Balancer and pods are scraped once a second, each at a moment of its own."""
    second = {"n": 0}
    labels = {"endpoint": "fraud", "version": "v1"}

    def prometheus(path: str) -> tuple[int, str]:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["query"][0]
        now = second["n"]
        series: list[tuple[dict[str, str], float]] = []
        if "timestamp" in query:
            latest = now + (0.9 if now < 3 else 0.1)  # the pod that is scraped later goes
            series = [(labels, latest)] if metrics.FRONT_ARRIVED in query else [({}, now + 0.5)]
        elif metrics.ENVOY_REQUESTS in query:
            cluster = {metrics.ENVOY_CLUSTER_LABEL: "fraud/v1"}
            series = [
                ({"__name__": metrics.ENVOY_REQUESTS, "instance": "lb:9902", **cluster}, 100.0 * now),
                ({"__name__": metrics.FRONT_COMPLETED, "instance": "10.0.0.1:8002", **labels}, 100.0 * now),
            ]
        result = [{"metric": metric, "value": [0, str(value)]} for metric, value in series]
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})

    source = PrometheusSource(f"http://127.0.0.1:{serve(prometheus)}")
    readings = []
    for now in range(1, 6):
        second["n"] = now
        readings.append(source.read(Targets(pods={KEY: {"pod-a": "10.0.0.1"}}, balancers={}), float(now))[KEY])

    seconds = [later.taken_at - earlier.taken_at for earlier, later in itertools.pairwise(readings[1:])]
    assert seconds == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("answer", [(500, "broken"), (200, "not json"), (200, '{"data": {"result": 5}}')])
def test_a_prometheus_that_is_ill_is_no_data(serve: Callable[..., int], answer: tuple[int, str]) -> None:
    source = PrometheusSource(f"http://127.0.0.1:{serve(lambda _: answer)}")

    assert source.read(Targets(pods={KEY: {}}, balancers={}), 1.0) == {}
