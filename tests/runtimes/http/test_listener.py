"""A listener that is about to close: who has begun is served, who has not is refused, and nobody is reset."""

import socket
import sys

import pytest

from headrace.runtimes.http.listener import open_listener, stop_handshakes

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
