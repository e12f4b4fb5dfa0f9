"""Patience: waiting for a state of the world, and ports that stay free."""

import fcntl
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

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
_CLAIMS = Path(tempfile.gettempdir()) / f"headrace-ports-{os.getuid()}"
_claimed: list[IO[str]] = []


def free_port() -> int:
    """A port that nothing else takes before its owner does: below the range from which the kernel picks, and claimed
    from the other groups of tests, which are processes of their own, until this process ends."""
    for port in _PORTS:
        if _claim(port) and _is_free(port):
            return port
    raise AssertionError("no free port")


def _claim(port: int) -> bool:
    _CLAIMS.mkdir(exist_ok=True)
    claim = (_CLAIMS / str(port)).open("w")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        claim.close()
        return False
    _claimed.append(claim)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
