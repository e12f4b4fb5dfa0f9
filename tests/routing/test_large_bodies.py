"""Many large bodies at once: the excess hears so, the proxies stay within their memory, and others go on."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from http2_client import Http2Client
from patience import eventually

from headrace.contract import request_body

pytestmark = pytest.mark.slow
INVOKE = "/serving-endpoints/fraud/invocations"
LARGEST, AT_ONCE = request_body.LARGEST_BYTES, request_body.LARGE_AT_ONCE


@pytest.fixture
def fraud(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("fraud")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    return server


def active(envoy: Any, role: str) -> int:
    lines = envoy.admin("/stats")[1].decode().splitlines()
    name = f"http.{role}.downstream_rq_active: "
    return int(next(line.removeprefix(name) for line in lines if line.startswith(name)))


def peak_mib(envoy: Any) -> int:
    """The most memory that the process ever had."""
    with open(f"/proc/{envoy.process.pid}/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


@pytest.fixture
def held(platform: Any, fraud: Any, signer: Any) -> Iterator[list[Any]]:
    """As many large requests as the PopProxy takes, each with its head sent and no byte of its body."""
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {signer.token()}\r\n"
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(platform.connect()) for _ in range(AT_ONCE)]
        for number, connection in enumerate(opened):
            length = f"Content-Length: {LARGEST}" if number % 2 else "Transfer-Encoding: chunked"
            connection.sendall(f"{head}{length}\r\n\r\n".encode())
        eventually(lambda: active(platform.pop, "pop_proxy") == AT_ONCE, "all of them are there")
        yield opened


@pytest.mark.parametrize("size", ["1000000", "0016777216"])
def test_one_more_is_refused_by_its_head_and_small_ones_are_served(
    platform: Any, held: list[Any], signer: Any, size: str
) -> None:
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {signer.token()}\r\nContent-Length: {size}"
    refusal = platform.raw(f"{head}\r\n\r\n".encode())
    assert b" 429 " in refusal.split(b"\r\n")[0]
    assert b"retry-after: 1" in refusal
    assert b"REQUEST_LIMIT_EXCEEDED" in refusal
    assert platform.request(INVOKE, body=b"x" * request_body.LARGE_BYTES).status == 200


def test_a_body_without_a_length_may_become_large_and_is_counted(platform: Any, held: list[Any], signer: Any) -> None:
    chunked = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {signer.token()}\r\n"
    assert b" 429 " in platform.raw(f"{chunked}Transfer-Encoding: chunked\r\n\r\n".encode()).split(b"\r\n")[0]
    client = Http2Client(platform)
    client.begin(INVOKE, token=signer.token())
    client.until_ended()
    assert client.status == 429


def test_strangers_take_no_place(platform: Any, fraud: Any) -> None:
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGEST}\r\n\r\n"
    for _ in range(AT_ONCE + 1):
        assert b" 401 " in platform.raw(head.encode()).split(b"\r\n")[0]
    assert platform.request(INVOKE, body=b"x" * 2_000_000).status == 200


def test_a_place_is_free_again_when_its_request_ends_or_its_client_is_gone(
    platform: Any, held: list[Any], signer: Any
) -> None:
    held[0].close()
    eventually(lambda: active(platform.pop, "pop_proxy") == AT_ONCE - 1, "the PopProxy has seen it go")
    for _ in range(3):
        assert platform.request(INVOKE, body=b"x" * 2_000_000).status == 200


def test_a_burst_of_the_largest_bodies_and_then_another(platform: Any, fraud: Any, load: Any) -> None:
    body = b"x" * LARGEST
    statuses: list[int] = []

    def send() -> None:
        try:
            statuses.append(platform.request(INVOKE, body=body).status)
        except OSError:
            statuses.append(0)  # the refusal came while the client wrote: it had no time to read it

    with load() as requests:
        for _ in range(2):
            clients = [threading.Thread(target=send) for _ in range(40)]
            for client in clients:
                client.start()
            for client in clients:
                client.join(60)
        requests.more(30)
    assert not requests.failures, "a good client lost nothing"
    assert set(statuses) <= {0, 200, 408, 429}, "408 where 16 MiB did not arrive in the tests' short time"
    for envoy in (platform.pop, platform.balancer):
        assert envoy.process.poll() is None
        assert peak_mib(envoy) < request_body.PROXY_MIB


def test_bodies_of_grpc_announce_no_length_and_end_before_the_memory_does(
    platform: Any, fraud: Any, load: Any, signer: Any
) -> None:
    """As many as would need twice the memory; nothing counts them, so the largest are reset."""
    clients = [Http2Client(platform) for _ in range(2 * request_body.PROXY_MIB // 16)]
    chunk = b"x" * 1_000_000

    def send(client: Http2Client) -> None:
        client.begin("/inference.GRPCInferenceService/ModelInfer", token=signer.token(), grpc="fraud")
        with contextlib.suppress(OSError, AssertionError):
            for _ in range(15):
                client.send(chunk)

    with load() as requests:
        threads = [threading.Thread(target=send, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        requests.more(30)
    assert platform.pop.process.poll() is None
    assert peak_mib(platform.pop) < request_body.PROXY_MIB
    assert not [item for item in requests.failures if getattr(item, "status", 0) != 503]
