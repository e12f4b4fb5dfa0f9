"""Patience: waiting for a state of the world, and ports that stay free."""

import random
import socket
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def eventually(
    seen: Callable[[], T], what: str = "the expected state", *, seconds: float = 120.0, every_seconds: float = 0.01
) -> T:
    """The first true value of `seen`. The time is only a bound for failure: no test waits longer than it must."""
    end = time.monotonic() + seconds
    while not (value := seen()):
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:.0f} s: {what}; last seen: {value!r}")
        time.sleep(every_seconds)
    return value


_PORTS = iter(random.sample(range(20_000, 30_000), 10_000))


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
