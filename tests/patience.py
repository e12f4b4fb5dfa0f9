"""Patience: waiting for a state of the world, and ports that stay free."""

import random
import socket
import time
from collections.abc import Callable

import pytest


def eventually(holds: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Waits for a state of the world; the time is only a bound for failure."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            pytest.fail(f"never happened: {what}")
        time.sleep(0.01)


_PORTS = iter(random.sample(range(20_000, 30_000), 1_000))


def free_port() -> int:
    """A port below the range from which the kernel picks, so that nothing else takes it before its owner does."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
