"""The limit of processes and threads, which the kernel tells a program of as if it had asked at a bad time.

The kubelet sets it for the pod (`podPidsLimit`), out of sight of its containers; what can be seen is how many there
are, and the limit of the container where it has one of its own.
"""

from __future__ import annotations

import errno
import os

ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/pids")
"""Of cgroup v2, and of v1."""


def told(error: BaseException, roots: tuple[str, ...] = ROOTS) -> str:
    """What an error that the limit has caused leaves out, to be put behind its words; empty for any other error."""
    now, most = (_number(roots, name) for name in ("pids.current", "pids.max"))
    full = now is not None and most is not None and now >= 0.95 * most
    if not any(_refuses_a_thread(one) or (full and _refuses_a_process(one)) for one in _chain(error)):
        return ""
    has = "the pod has" if now is None else f"the pod has {now} processes and threads and"
    if most is not None and full:
        return f"; {has} reached its limit of {most}"
    return f"; {has} reached the limit of its node (podPidsLimit of the kubelet, or the user's)"


def _refuses_a_thread(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def _refuses_a_process(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EAGAIN


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and all(error is not one for one in found):
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _number(roots: tuple[str, ...], name: str) -> int | None:
    for root in roots:
        try:
            with open(os.path.join(root, name), encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):  # there is none, or it says "max"
            continue
    return None
