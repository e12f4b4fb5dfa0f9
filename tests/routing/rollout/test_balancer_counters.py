"""What balancers have counted, read from a real Envoy and from pages as they look after restarts."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from patience import eventually

from headrace.routing.rollout.balancer_counters import BalancerCounters, Counts

LATENCIES = (1.0, 1.6, 2.5, 4.0, 6.3, 10.0)


def test_a_real_balancers_counts_are_told_by_version(platform: Any, make_endpoint: Any, make_version: Any) -> None:
    servers = {name: platform.server(name) for name in ("v1", "v2", "other")}
    platform.publish(
        make_endpoint("fraud", make_version("v1", 50), make_version("v2", 50)),
        make_endpoint("fraud-2"),
        pods={
            ("fraud", "v1"): (servers["v1"],),
            ("fraud", "v2"): (servers["v2"],),
            ("fraud-2", "v1"): (servers["other"],),
        },
    )
    counters = BalancerCounters(port=platform.balancer.stats_port)
    assert counters.read("fraud", ["127.0.0.1"]) is not None
    servers["v2"].status = 500
    for _ in range(40):
        platform.request("/fraud/invocations")
        platform.request("/fraud-2/invocations")
    servers["v2"].status = 429
    platform.request("/serving-endpoints/fraud/served-models/v2/invocations")

    def after() -> Counts | None:
        """Once histograms have been brought up to date, which Envoy does every five seconds."""
        found = counters.read("fraud", ["127.0.0.1"])
        done = found is not None and sum(version.timed for version in found.versions.values()) >= 41
        return found if done else None

    found = eventually(after, seconds=30, every_seconds=0.2)
    assert found is not None
    old, new = found.versions["v1"], found.versions["v2"]
    assert old.requests + new.requests == 41
    assert old.errors == 0
    assert new.errors == new.requests - 1 > 5
    assert found.bounds_milliseconds[: len(LATENCIES)] == LATENCIES
    assert list(old.within) == sorted(old.within)


class Balancer:
    """A page of counters, which the test writes."""

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int]] = {}
        """By version: requests and errors."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = "".join(
                    f'envoy_cluster_upstream_rq_completed{{envoy_cluster_name="fraud/{version}"}} {requests}\n'
                    f'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="5",envoy_cluster_name="fraud/{version}"}}'
                    f" {errors}\n"
                    for version, (requests, errors) in outer.counts.items()
                ).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def balancer() -> Iterator[Balancer]:
    made = Balancer()
    yield made
    made.stop()


def requests_of(counters: BalancerCounters) -> float | None:
    found = counters.read("fraud", ["127.0.0.1"])
    return None if found is None else found.versions["v1"].requests


def test_what_was_counted_before_the_first_look_is_the_past(balancer: Balancer) -> None:
    counters = BalancerCounters(port=balancer.port)
    balancer.counts = {"v1": (1000, 10)}
    assert requests_of(counters) == 0
    balancer.counts = {"v1": (1100, 10)}
    assert requests_of(counters) == 100


def test_a_balancer_that_restarts_takes_nothing_back(balancer: Balancer) -> None:
    counters = BalancerCounters(port=balancer.port)
    for requests in (1000, 1100, 20):
        balancer.counts = {"v1": (requests, 0)}
        total = requests_of(counters)
    assert total == 120


def test_a_balancer_that_does_not_answer_makes_all_unknown(balancer: Balancer) -> None:
    counters = BalancerCounters(port=balancer.port)
    balancer.counts = {"v1": (1000, 0)}
    assert counters.read("fraud", ["127.0.0.1", "127.0.0.2"]) is None
    assert counters.read("fraud", []) is None
