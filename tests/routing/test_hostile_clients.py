"""Clients that mean harm or are merely broken, many at once, while good ones go on being served."""

import contextlib
import ssl
from typing import Any

import pytest
from http2_client import connect, frame, literal
from patience import eventually

pytestmark = pytest.mark.slow
INVOKE = "/fraud/invocations"


@pytest.fixture
def fraud(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("fraud")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    return server


def stat(envoy: Any, name: str) -> int:
    text = envoy.admin("/stats")[1].decode()
    return int(next(line.split(": ")[1] for line in text.splitlines() if line.startswith(f"{name}: ")))


def test_f82_clients_that_never_finish_a_request_hold_up_nobody(
    platform: Any, fraud: Any, load: Any, signer: Any
) -> None:
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {signer.token()}\r\n"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(platform.connect()) for _ in range(150)]
        for number, connection in enumerate(slow):
            connection.sendall(head.encode() if number % 2 else f"{head}Content-Length: 1000\r\n\r\nslow".encode())
        with load() as requests:
            requests.more(100)
        statuses = [connection.recv(4096).split(b" ")[1] for connection in slow]
    assert not requests.failures
    assert set(statuses) == {b"408"}
    assert not [seen for seen in fraud.requests if seen.body.startswith(b"slow")]


def test_f83_clients_that_hang_up_during_a_prediction_leave_nothing_behind(
    platform: Any, fraud: Any, signer: Any
) -> None:
    fraud.delay = 0.3
    request = (
        f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {signer.token()}\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    for _ in range(40):
        connection = platform.connect()
        connection.sendall(request.encode())
        connection.close()
    eventually(lambda: stat(platform.pop, "http.pop_proxy.downstream_rq_active") == 0, "nothing active at the PopProxy")
    eventually(
        lambda: stat(platform.balancer, "cluster.fraud/v1.upstream_rq_active") == 0, "nothing active at the pods"
    )
    fraud.delay = 0.0
    assert platform.request(INVOKE).status == 200


def test_f84_names_that_nobody_has_leave_no_trace(platform: Any, fraud: Any) -> None:
    def names_of_stats() -> set[str]:
        lines = platform.pop.admin("/stats")[1].decode() + platform.balancer.admin("/stats")[1].decode()
        return {line.split(": ")[0] for line in lines.splitlines()}

    platform.request("/absent/invocations")
    before = names_of_stats()
    for number in range(100):
        assert platform.request(f"/serving-endpoints/unknown-{number}/invocations").status == 404
    assert not {name for name in names_of_stats() - before if "unknown" in name}


HEADERS = b"".join(
    literal(name, value)
    for name, value in ((":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", INVOKE))
)


def until_closed(connection: ssl.SSLSocket) -> bool:
    """Reads what is there; true when the proxy has ended the connection."""
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("flood", ["reset", "settings", "ping", "continuation", "empty data", "window"])
def test_r32_floods_end_their_own_connection_and_no_other(platform: Any, fraud: Any, load: Any, flood: str) -> None:
    opening = frame(1, 4, 1, HEADERS)
    reset = (8).to_bytes(4, "big")
    frames = {
        # CVE-2023-44487: streams opened and taken back.
        "reset": b"".join(frame(1, 4, stream, HEADERS) + frame(3, 0, stream, reset) for stream in range(1, 8001, 2)),
        "settings": frame(4, 0, 0, (3).to_bytes(2, "big") + (100).to_bytes(4, "big")) * 20_000,
        "ping": frame(6, 0, 0, b"12345678") * 20_000,
        # CVE-2024-27316 and its kin: a head that never ends.
        "continuation": frame(1, 0, 1, HEADERS) + frame(9, 0, 1, literal("x-a", "b" * 100)) * 20_000,
        "empty data": opening + frame(0, 0, 1, b"") * 20_000,
        "window": opening + frame(8, 0, 1, (1).to_bytes(4, "big")) * 20_000,
    }[flood]
    with load() as requests, connect(platform) as connection:
        try:
            connection.sendall(frames)
        except OSError:
            closed = True
        else:
            connection.settimeout(5)
            closed = until_closed(connection)
        requests.more(30)
    assert not requests.failures
    assert closed


def test_http2_is_served_by_the_same_rules(platform: Any, fraud: Any) -> None:
    with connect(platform) as connection:
        connection.sendall(frame(1, 5, 1, HEADERS))
        received = b""
        while b"UNAUTHENTICATED" not in received:
            chunk = connection.recv(65536)
            assert chunk, received
            received += chunk
    assert not fraud.requests
