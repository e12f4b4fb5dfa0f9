"""Processes that are watched, started here or adopted."""

import asyncio
import signal
import subprocess

import pytest

from headrace.runtimes.pod.watched_process import WatchedProcess, ending


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "600"])


@pytest.mark.parametrize(("adopted", "code"), [(False, -signal.SIGKILL), (True, None)])
def test_the_end_of_a_process_is_told_once_and_its_status_known_where_it_is_ours(
    adopted: bool, code: int | None
) -> None:
    popen = sleeper()

    async def story() -> int | None:
        ended = asyncio.Event()
        watched = WatchedProcess(popen.pid, ended.set, None if adopted else popen)
        watched.signal(signal.SIGKILL)
        await asyncio.wait_for(ended.wait(), 20)
        watched.signal(signal.SIGKILL)  # nobody, and no other process of that number
        return watched.close()

    assert asyncio.run(story()) == code
    popen.wait()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "former front"),
        (3, "exit status 3"),
        (-9, "SIGKILL (usually the kernel, out of memory)"),
        (-11, "SIGSEGV"),
    ],
)
def test_how_a_process_ended_is_said_in_words(code: int | None, words: str) -> None:
    assert words in ending(code)
