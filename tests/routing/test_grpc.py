"""gRPC through both real Envoys: who is asked, who may ask, and how refusals read."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from patience import eventually

from headrace.contract import names
from headrace.routing.snapshot import paths
from headrace.runtimes.protocols import messages


@pytest.fixture
def caller(platform: Any, make_caller: Any) -> Iterator[Any]:
    made = make_caller(platform.options.pop_port, platform.ca_file)
    with made.channel:
        yield made


@pytest.fixture
def ask(caller: Any, signer: Any) -> Callable[..., Any]:
    """Calls with a valid token."""
    return lambda *arguments, **options: caller(signer.token(), *arguments, **options)


@pytest.fixture
def pods(make_grpc_server: Any) -> Any:
    """Makes pods that speak gRPC."""
    return make_grpc_server


@pytest.fixture
def serve(platform: Any, make_endpoint: Any, make_version: Any) -> Callable[..., None]:
    """Makes one endpoint, of versions with their weight, shadow share and pods, the world."""

    def publish(versions: dict[str, tuple[int, int, list[Any]]], **options: Any) -> None:
        made = [make_version(name, weight, shadow) for name, (weight, shadow, _) in versions.items()]
        addresses = {("fraud", name): tuple(pod.address for pod in found) for name, (_, _, found) in versions.items()}
        platform.publish_world(endpoints=(make_endpoint("fraud", *made, **options),), pods=addresses)

    return publish


@pytest.fixture
def fraud(serve: Any, pods: Any) -> Any:
    server = pods("fraud-v1")
    serve({"v1": (100, 0, [server])})
    return server


def test_a_call_reaches_the_endpoint_that_its_metadata_names(
    platform: Any, make_endpoint: Any, pods: Any, ask: Any
) -> None:
    named = ("a", "a-b", "serving-endpoints")
    servers = {name: pods(name) for name in named}
    platform.publish_world(
        endpoints=tuple(make_endpoint(name) for name in named),
        pods={(name, "v1"): (servers[name].address,) for name in named},
    )
    for name in named:
        told = ask(headrace_endpoint=name)
        assert (told.code, told.answer) == ("OK", name)
        assert told.metadata["served-model-name"] == "v1"
        assert told.metadata["x-request-id"]
    seen = servers["a"].calls[-1]
    assert (seen.method, seen.message) == (f"/{names.GRPC_SERVICE}/ModelInfer", b"x")
    assert seen.metadata["x-headrace-endpoint"] == "a"
    assert seen.metadata["x-headrace-subject"] == "alice"
    assert "authorization" not in seen.metadata


@pytest.mark.parametrize("metadata", [{}, {"headrace_endpoint": "absent"}, {"x_headrace_endpoint": "fraud"}])
def test_a_call_that_names_no_endpoint_is_not_found(ask: Any, fraud: Any, metadata: dict[str, str]) -> None:
    told = ask(**metadata)

    assert told.code == "NOT_FOUND"
    assert paths.ENDPOINT_METADATA in told.details
    assert told.metadata["x-request-id"]
    assert not fraud.calls


@pytest.mark.parametrize("method", ["ModelInfer", "ModelReady", "ModelMetadata"])
def test_the_message_names_the_endpoint_where_metadata_does_not(  # noqa: PLR0917 -- fixtures
    platform: Any, make_endpoint: Any, pods: Any, ask: Any, caller: Any, signer: Any, method: str
) -> None:
    servers = {name: pods(name) for name in ("a", "a-b")}
    endpoints = (make_endpoint("a"), make_endpoint("a-b", subjects=("bob",)))
    platform.publish_world(endpoints=endpoints, pods={(name, "v1"): (pod.address,) for name, pod in servers.items()})

    def message(name: str) -> bytes:
        field = "model_name" if method == "ModelInfer" else "name"
        return bytes(messages.made(f"{method}Request", **{field: name}).SerializeToString())

    assert ask(message("a"), method=method).answer == "a"
    assert servers["a"].calls[-1].message == message("a")
    assert ask(message("a-b"), method=method).code == "PERMISSION_DENIED"
    assert caller("", message("a"), method=method).code == "UNAUTHENTICATED"
    assert caller(signer.token(sub="bob"), message("a-b"), method=method).answer == "a-b"
    assert ask(message("a-b"), method=method, headrace_endpoint="a").answer == "a", "metadata comes first"


def test_the_message_names_the_version_too(serve: Any, pods: Any, ask: Any) -> None:
    serve({"v1": (100, 0, [pods("v1")]), "v2": (0, 0, [pods("v2")])})

    def answer(version: str, **metadata: str) -> Any:
        made = messages.made("ModelInferRequest", model_name="fraud", model_version=version, id="7")
        return ask(made.SerializeToString(), **metadata)

    assert [answer(version).answer for version in ("", "v1", "v2")] == ["v1", "v1", "v2"]
    assert answer("v9").code == "NOT_FOUND"
    assert answer("v1", headrace_version="v2").answer == "v2", "metadata comes first"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x0a",
        b"\x0a\xff",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\x06fraud",
        b"\x0a\x05FRAUD",
        b"\x0a\x05fra\r\n",
        b"\x0a\x0dfraud\x00\xff-x-yz",
        b"\x0b" * 2000,
        b"\xff" * 2000,
        b"\x08\x05\x0a\x05fraud",
        b"\x32" + b"\x80" * 1000,
    ],
    ids=range(12),
)
def test_a_message_that_names_no_endpoint_is_not_found(ask: Any, fraud: Any, message: bytes) -> None:
    told = ask(message)

    assert told.code == "NOT_FOUND"
    assert paths.ENDPOINT_METADATA in told.details
    assert not fraud.calls
    assert ask(b"\x0a\x05fraud" + message[:1]).answer == "fraud-v1"


def test_a_large_message_needs_no_metadata(platform: Any, ask: Any, fraud: Any) -> None:
    tensors = [b"x" * (platform.options.body_bytes - 1000)]
    made = messages.made("ModelInferRequest", model_name="fraud", raw_input_contents=tensors).SerializeToString()

    assert ask(made).answer == "fraud-v1"
    assert fraud.calls[-1].message == made
    assert ask(made + b"x" * 2000).code == "RESOURCE_EXHAUSTED"


def test_the_host_answers_for_itself(ask: Any, caller: Any, fraud: Any, management: Any) -> None:
    for method in ("ServerLive", "ServerReady"):
        assert ask(b"", method=method).answer == "\x08\x01"
        assert caller("", b"", method=method).code == "UNAUTHENTICATED"
    assert ask(b"", method="ServerElsewhere").code == "UNIMPLEMENTED"
    assert not fraud.calls
    assert ask(b"", method="ServerLive", headrace_endpoint="fraud").answer == "fraud-v1", "metadata names the pod's"


def test_a_version_is_asked_by_its_name_or_by_weight(serve: Any, pods: Any, ask: Any) -> None:
    serve({"v1": (75, 0, [pods("v1")]), "v2": (25, 0, [pods("v2")]), "v3": (0, 0, [pods("v3")])})
    served = Counter(ask(headrace_endpoint="fraud").answer for _ in range(100))

    assert set(served) == {"v1", "v2"}
    assert 4 <= served["v2"] <= 46, "a quarter of 100, within five standard deviations"
    for name in ("v1", "v2", "v3"):
        assert ask(headrace_endpoint="fraud", headrace_version=name).answer == name
    assert ask(headrace_endpoint="fraud", headrace_version="v9").code == "NOT_FOUND"


def test_a_shadow_gets_copies_of_calls(serve: Any, pods: Any, ask: Any) -> None:
    main, shadow = pods("main"), pods("shadow")
    serve({"v1": (100, 0, [main]), "v2": (0, 100, [shadow])})

    assert ask(headrace_endpoint="fraud").answer == "main"
    eventually(lambda: len(shadow.calls) == 1, "a copy came")


def test_who_may_call_is_decided_as_for_http(serve: Any, pods: Any, caller: Any, signer: Any) -> None:
    server = pods("fraud")
    serve({"v1": (100, 0, [server])}, subjects=("bob",))

    nobody = caller("", headrace_endpoint="fraud")
    wrong = caller(signer.token(aud="else"), headrace_endpoint="fraud")
    alice = caller(signer.token(), headrace_endpoint="fraud")

    assert [told.code for told in (nobody, wrong, alice)] == ["UNAUTHENTICATED", "UNAUTHENTICATED", "PERMISSION_DENIED"]
    assert "send 'Authorization: Bearer <token>'" in nobody.details
    assert "subject may not call" in alice.details
    assert not server.calls
    assert caller(signer.token(sub="bob"), headrace_endpoint="fraud").answer == "fraud"


def test_a_pods_refusal_passes_as_it_is(ask: Any, fraud: Any) -> None:
    fraud.refusal, fraud.trailing = grpc.StatusCode.INVALID_ARGUMENT, (("x-own", "1"),)
    told = ask(headrace_endpoint="fraud")

    assert (told.code, told.details, told.metadata["x-own"]) == ("INVALID_ARGUMENT", "the pod's own words", "1")
    assert len(fraud.calls) == 1, "what a pod has seen is not sent twice"


def test_a_refusal_that_no_worker_has_seen_is_tried_on_another_pod(serve: Any, pods: Any, ask: Any) -> None:
    full, free = pods("full"), pods("free")
    full.refusal, full.trailing = grpc.StatusCode.RESOURCE_EXHAUSTED, ((names.UNPROCESSED_HEADER, "1"),)
    serve({"v1": (100, 0, [full, free])})
    told = [ask(headrace_endpoint="fraud") for _ in range(20)]

    assert {one.answer for one in told} == {"free"}
    assert full.calls, "it was asked first, at times"


def test_a_refusal_to_try_again_says_when(serve: Any, ask: Any) -> None:
    serve({"v1": (100, 0, [])})
    told = ask(headrace_endpoint="fraud")

    assert (told.code, told.details) == ("UNAVAILABLE", "No replica of the model is ready yet.")
    assert told.metadata["retry-after"] == "5"
    assert told.metadata["grpc-retry-pushback-ms"] == "5000"


def test_an_endpoints_time_limit_is_a_deadline(serve: Any, pods: Any, ask: Any) -> None:
    slow = pods("slow")
    slow.delay = 1.0
    serve({"v1": (100, 0, [slow])}, timeout=0.3)
    told = ask(headrace_endpoint="fraud")

    assert told.code == "DEADLINE_EXCEEDED"
    assert "time limit" in told.details


def test_streams_are_refused_at_once_and_unknown_services_too(caller: Any, fraud: Any, signer: Any) -> None:
    begun = threading.Event()

    def messages() -> Iterator[bytes]:
        yield b"x"
        begun.wait(10)  # a stream that goes on

    token = [("authorization", f"Bearer {signer.token()}"), ("headrace-endpoint", "fraud")]
    stream = caller.channel.stream_stream(paths.GRPC_STREAM_PATH)(messages(), metadata=token, timeout=10)
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    begun.set()
    other = caller.channel.unary_unary("/grpc.reflection.v1.ServerReflection/Info")
    with pytest.raises(grpc.RpcError) as unknown:
        other(b"", metadata=token, timeout=10)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    assert not fraud.calls


def test_a_message_beyond_the_limit_is_refused(platform: Any, ask: Any, fraud: Any) -> None:
    told = ask(b"x" * (platform.options.body_bytes + 1), headrace_endpoint="fraud")

    assert told.code == "RESOURCE_EXHAUSTED"
    assert "larger than 16 MiB" in told.details
    assert not fraud.calls


def test_what_is_not_grpc_is_not_found_at_its_paths(platform: Any, fraud: Any) -> None:
    answer = platform.request(f"{paths.GRPC_PREFIX}ModelInfer", headers={"headrace-endpoint": "fraud"})

    assert (answer.status, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert not fraud.calls


def test_a_refusal_is_logged_with_its_code(platform: Any, ask: Any, fraud: Any) -> None:
    good = ask(headrace_endpoint="fraud").metadata["x-request-id"]
    fraud.refusal = grpc.StatusCode.INVALID_ARGUMENT
    identity = ask(headrace_endpoint="fraud").metadata["x-request-id"]
    for envoy in (platform.pop, platform.balancer):
        eventually(lambda envoy=envoy: identity in envoy.log.read_text(), "logged")
        lines = [json.loads(line) for line in envoy.log.read_text().splitlines() if identity in line]
        assert [line["attributes"]["rpc.grpc.status_code"] for line in lines] == ["InvalidArgument"]
        assert good not in envoy.log.read_text()


def test_calls_count_as_their_versions_requests(platform: Any, ask: Any, fraud: Any) -> None:
    """The autoscaler reads one number, whatever protocol requests came in."""

    def counted() -> float:
        lines = platform.balancer.stats("/stats/prometheus")[1].decode().splitlines()
        found = [line for line in lines if line.startswith("envoy_cluster_upstream_rq_total{") and "fraud/v1" in line]
        assert len(found) == 1, found
        return float(found[0].rpartition(" ")[2])

    before = counted()
    for _ in range(3):
        ask(headrace_endpoint="fraud")

    assert counted() == before + 3


def test_versions_are_replaced_under_calls_without_a_failure(serve: Any, pods: Any, ask: Any) -> None:
    stop = threading.Event()
    servers = {"v1": pods("v1"), "v2": pods("v2")}

    def run() -> list[str]:
        codes = []
        while not stop.is_set():
            codes.append(ask(headrace_endpoint="fraud").code)
        return codes

    serve({"v1": (100, 0, [servers["v1"]])})
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(run) for _ in range(3)]
        for name in ("v2", "v1", "v2"):
            serve({name: (100, 0, [servers[name]])})
            wanted = len(servers[name].calls) + 20
            eventually(lambda name=name, wanted=wanted: len(servers[name].calls) >= wanted, f"{name} is called")
        stop.set()
        codes = [code for one in running for code in one.result()]

    assert len(codes) >= 60
    assert set(codes) == {"OK"}
