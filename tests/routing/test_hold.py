"""Requests for a version without a ready pod wait in the LoadBalancer: real Envoys, the real activator."""

import concurrent.futures
import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from activator_server import ActivatorServer, KnownVersions
from patience import eventually

from headrace.routing.activator.admission import Bounds
from headrace.routing.snapshot import PodAddress

PATH = "/serving-endpoints/fraud/invocations"
NAME = "fraud/v1"


class Sleeping:
    """The endpoint `fraud` without a pod, and two activators, of which the first in order is asked."""

    def __init__(self, platform: Any, endpoint: Any, bounds: Bounds | None) -> None:
        self.platform, self.endpoint, self.versions = platform, endpoint, KnownVersions()
        self.activators = sorted(
            (ActivatorServer(self.versions, bounds) for _ in range(2)), key=lambda each: each.address
        )
        addresses = tuple(each.address for each in self.activators)
        platform.publish(endpoint, pods={}, activators=addresses)
        self._callers = concurrent.futures.ThreadPoolExecutor(100)

    @property
    def first(self) -> ActivatorServer:
        return self.activators[0]

    def call(self, count: int, path: str = PATH, **how: Any) -> list["concurrent.futures.Future[Any]"]:
        """That many callers at once, each with a number of its own in the body."""
        bodies = [json.dumps({"inputs": [number]}).encode() for number in range(count)]
        return [self._callers.submit(self.platform.request, path, body=body, **how) for body in bodies]

    def wake(self, *servers: Any, limit: int = 4) -> None:
        """Pods are ready: the activators hear of it before the proxies do."""
        self.versions.of[NAME] = {server.address: limit for server in servers}
        for each in self.activators:
            each.pods_changed()
        self.platform.publish(
            self.endpoint,
            pods={("fraud", "v1"): servers},
            activators=tuple(each.address for each in self.activators),
        )

    def stop(self) -> None:
        for each in self.activators:
            each.stop(warned=False)
        self._callers.shutdown()


@pytest.fixture
def sleeping(platform: Any, make_endpoint: Any) -> Iterator[Callable[..., Sleeping]]:
    with contextlib.ExitStack() as stack:

        def make(bounds: Bounds | None = None, **endpoint: Any) -> Sleeping:
            made = Sleeping(platform, make_endpoint("fraud", **endpoint), bounds)
            stack.callback(made.stop)
            return made

        yield make


def test_who_comes_while_no_pod_is_ready_is_answered_by_the_first(platform: Any, sleeping: Any) -> None:
    fraud, server = sleeping(), platform.server("fraud-v1")
    calls = fraud.call(50)
    fraud.first.wait_until_held(50)
    assert not any(call.done() for call in calls)
    fraud.wake(server)
    answers = [call.result(15) for call in calls]
    assert Counter(answer.status for answer in answers) == {200: 50}
    assert {answer.headers["served-model-name"] for answer in answers} == {"v1"}
    bodies = Counter(seen.body for seen in server.requests)
    assert len(bodies) == 50, "each was asked of the model"
    assert set(bodies.values()) == {1}, "and none twice"
    assert fraud.first.news == 1
    assert fraud.first.held == 0


def test_a_pod_gets_no_more_at_once_than_it_admits(platform: Any, sleeping: Any) -> None:
    fraud, server = sleeping(), platform.server("fraud-v1")
    server.delay = 0.05
    calls = fraud.call(20)
    fraud.first.wait_until_held(20)
    most = 0
    fraud.wake(server, limit=2)
    while not all(call.done() for call in calls):
        _, page = platform.balancer.stats("/stats/prometheus")
        active = [line for line in page.decode().splitlines() if line.startswith("envoy_cluster_upstream_rq_active")]
        most = max(most, *(int(line.rpartition(" ")[2]) for line in active if '"held"' in line), 0)
    assert {call.result().status for call in calls} == {200}
    assert 1 <= most <= 2


def test_a_caller_who_leaves_takes_the_request_along(platform: Any, sleeping: Any) -> None:
    fraud, server = sleeping(), platform.server("fraud-v1")
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {platform.signer.token()}\r\n"
    with platform.connect() as connection:
        connection.sendall(f"{head}content-length: 2\r\n\r\n{{}}".encode())
        fraud.first.wait_until_held(1)
    fraud.first.wait_until_held(0)
    fraud.wake(server)
    assert not server.requests


@pytest.mark.parametrize("warned", [True, False])
def test_an_activator_that_is_lost_costs_nothing_while_another_lives(
    platform: Any, sleeping: Any, warned: bool
) -> None:
    fraud, server = sleeping(), platform.server("fraud-v1")
    calls = fraud.call(30)
    fraud.first.wait_until_held(30)
    fraud.first.stop(warned=warned)
    fraud.activators[1].wait_until_held(30)
    del fraud.activators[0]
    fraud.wake(server)
    assert Counter(call.result(15).status for call in calls) == {200: 30}
    assert max(Counter(seen.body for seen in server.requests).values()) == 1


def test_without_any_activator_the_caller_is_told(platform: Any, sleeping: Any) -> None:
    fraud = sleeping()
    calls = fraud.call(3)
    fraud.first.wait_until_held(3)
    for each in fraud.activators:
        each.stop(warned=False)
    answers = [call.result(15) for call in calls]
    assert {(answer.status, answer.headers.get("retry-after")) for answer in answers} == {(503, "1")}
    assert "no model has seen it" in answers[0].json()["message"]


def test_a_refusal_says_why_and_when_to_come_again_in_the_callers_dialect(platform: Any, sleeping: Any) -> None:
    fraud = sleeping(Bounds(version_requests=1))
    fraud.versions.start_seconds = 7.0
    calls = fraud.call(1)
    fraud.first.wait_until_held(1)
    refused = platform.request(PATH)
    assert refused.status == 503
    assert 5 <= int(refused.headers["retry-after"]) <= 7
    document = refused.json()
    assert document["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert document["message"].startswith("1 requests of version fraud/v1 wait for a first pod already")
    openai = platform.request("/serving-endpoints/fraud/v1/chat/completions").json()["error"]
    assert (openai["type"], openai["message"][:10]) == ("server_error", "1 requests")
    oip = platform.request("/serving-endpoints/fraud/v2/models/fraud/infer").json()
    assert oip["error"].startswith("1 requests of version")
    fraud.wake(platform.server("fraud-v1"))
    assert calls[0].result(15).status == 200


def test_a_version_that_cannot_start_holds_nobody(platform: Any, sleeping: Any) -> None:
    fraud = sleeping()
    fraud.versions.failure = "2 pods cannot start"
    answer = platform.request(PATH)
    assert answer.status == 503
    assert "2 pods cannot start" in answer.json()["message"]


def test_who_waits_less_than_a_start_takes_is_refused_at_once(platform: Any, sleeping: Any) -> None:
    fraud = sleeping(timeout=2.0)
    answer = platform.request(PATH)
    assert (answer.status, answer.headers["retry-after"]) == (503, "3")
    assert "later than" in answer.json()["message"]
    assert fraud.first.held == 0


def test_who_has_waited_to_the_end_of_the_endpoints_time_hears_that_it_is_over(platform: Any, sleeping: Any) -> None:
    fraud = sleeping(timeout=2.0)
    fraud.versions.start_seconds = 1.0
    answer = platform.request(PATH)
    assert answer.status == 503
    assert "had room within" in answer.json()["message"]


def test_a_copy_for_a_shadow_that_sleeps_is_not_served_by_the_version_that_is_awake(
    platform: Any, sleeping: Any, make_endpoint: Any, make_version: Any
) -> None:
    fraud, real = sleeping(), platform.server("real")
    endpoint = make_endpoint("fraud", make_version("v1", 100), make_version("v2", 0, shadow=100))
    fraud.versions.of[NAME] = {real.address: 4}
    platform.publish(endpoint, pods={("fraud", "v1"): (real,)})
    assert platform.request(PATH).status == 200
    eventually(lambda: b'envoy_cluster_name="fraud/v2"' in platform.balancer.stats("/stats/prometheus")[1], "copied")
    assert len(real.requests) == 1


def test_a_pod_that_is_gone_again_loses_no_request(platform: Any, sleeping: Any) -> None:
    fraud, gone, server = sleeping(), platform.server("gone"), platform.server("fraud-v1")
    gone.stop()
    calls = fraud.call(3)
    fraud.first.wait_until_held(3)
    fraud.wake(gone, server, limit=3)
    assert Counter(call.result(15).status for call in calls) == {200: 3}
    assert len(server.requests) == 3


def test_calls_of_grpc_wait_too(platform: Any, sleeping: Any, make_grpc_server: Any, make_caller: Any) -> None:
    fraud, pod = sleeping(), make_grpc_server("fraud-v1")
    pod.trailing = (("said-at-the-end", "yes"),)
    caller = make_caller(platform.options.pop_port, platform.ca_file)
    with caller.channel, concurrent.futures.ThreadPoolExecutor(5) as callers:
        ask = {"headrace_endpoint": "fraud", "timeout": 15}
        calls = [callers.submit(caller, platform.signer.token(), bytes([number]), **ask) for number in range(5)]
        fraud.first.wait_until_held(5)
        fraud.wake(pod)
        told = [call.result(15) for call in calls]
    assert {(each.code, each.answer) for each in told} == {("OK", "fraud-v1")}
    assert sorted(call.message for call in pod.calls) == [bytes([number]) for number in range(5)]


def test_a_call_of_grpc_that_cannot_wait_is_unavailable_and_hears_when_to_come_again(
    platform: Any, sleeping: Any, make_caller: Any
) -> None:
    fraud = sleeping()
    fraud.versions.failure = "no node has room"
    caller = make_caller(platform.options.pop_port, platform.ca_file)
    with caller.channel:
        told = caller(platform.signer.token(), headrace_endpoint="fraud")
    assert told.code == "UNAVAILABLE"
    assert "no node has room" in told.details
    assert told.metadata["grpc-retry-pushback-ms"] == "3000"


class Streamer:
    """A pod that answers one request piece by piece, each when a test says so."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = PodAddress("127.0.0.1", self._listener.getsockname()[1])
        self.more = threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, self._listener:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            for piece in (b"data: 1", b"data: 2"):
                self.more.acquire()
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")


def test_a_stream_that_waited_comes_piece_by_piece(platform: Any, sleeping: Any) -> None:
    fraud, pod = sleeping(), Streamer()
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {platform.signer.token()}\r\n"
    with platform.connect() as connection:
        connection.sendall(f"{head}content-length: 0\r\n\r\n".encode())
        fraud.first.wait_until_held(1)
        fraud.wake(pod)
        received = b""
        for piece in (b"data: 1", b"data: 2"):
            assert piece not in received
            pod.more.release()
            while piece not in received:
                received += connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 200")
