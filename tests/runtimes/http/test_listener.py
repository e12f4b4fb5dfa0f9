"""A listener that is about to close: who has begun is served, who has not is refused, and nobody is reset."""

import socket
import sys
from typing import Any

import pytest

from headrace.runtimes.http.listener import is_loopback, is_own, open_listener, stop_handshakes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="filters of sockets are Linux's")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_who_connected_before_the_close_is_served_and_who_comes_after_is_refused(host: str) -> None:
    listener = open_listener(host, 0)
    address = listener.getsockname()[:2]
    early = socket.create_connection(address)

    stop_handshakes(listener)
    with pytest.raises(TimeoutError):  # neither accepted nor reset: the kernel would try again in a second
        socket.create_connection(address, timeout=0.3)
    served, _ = listener.accept()
    with pytest.raises(BlockingIOError):  # nobody else waits, so nobody is reset by the close
        listener.accept()
    listener.close()

    early.sendall(b"asked after the close")
    assert served.recv(100) == b"asked after the close"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    early.close()
    served.close()


@pytest.mark.parametrize(
    ("address", "own"),
    [
        (("127.0.0.1", 40000), True),
        (("127.9.9.9", 40000), True),
        (("::1", 40000, 0, 0), True),
        (("::ffff:127.0.0.1", 40000, 0, 0), True),
        (("192.0.2.1", 40000), False),
        (("2001:db8::1", 40000, 0, 0), False),
    ],
)
def test_an_address_is_own_where_a_process_here_can_have_it(address: tuple[Any, ...], own: bool) -> None:
    assert is_own(address) is own


def test_the_address_that_leads_out_is_own_too() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward:
        try:
            outward.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no way out")
        assert is_own(outward.getsockname())


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("host.example", False),
    ],
)
def test_a_listener_for_its_own_machine_alone(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
