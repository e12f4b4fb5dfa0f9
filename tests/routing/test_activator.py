"""Activator: what it tells, learns, and gives back."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from activator_server import KnownVersions

from headrace.routing.activator.activator import Activator
from headrace.routing.activator.admission import Refusal
from headrace.routing.activator.service import address_of, size_of, text_of, timeout_of
from headrace.routing.snapshot import PodAddress

POD = PodAddress("10.0.0.1", 8080)
NAME = "fraud/v1"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def story(told: Callable[[Activator, KnownVersions, Clock], Awaitable[None]]) -> list[int]:
    """Tells it on a loop of its own; returns how many waited whenever there was news."""
    news: list[int] = []

    async def run() -> None:
        versions, clock = KnownVersions(), Clock()

        def note() -> None:
            news.append(activator.counts()[NAME][0])

        activator = Activator(versions, news=note, clock=clock)
        await told(activator, versions, clock)

    asyncio.run(asyncio.wait_for(run(), 10))
    return news


async def held(activator: Activator, count: int) -> list["asyncio.Task[PodAddress | Refusal]"]:
    tasks = [asyncio.create_task(activator.pod(NAME, timeout_seconds=60.0, size=1)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def test_the_first_that_waits_is_news_and_the_others_are_not() -> None:
    async def told(activator: Activator, versions: KnownVersions, clock: Clock) -> None:
        tasks = await held(activator, 3)
        clock.now += 2.0
        assert activator.counts() == {NAME: (3, 2.0)}
        versions.of[NAME] = {POD: 8}
        activator.pods_changed()
        assert await tasks[0] == POD
        activator.ended(NAME, POD, reached=True)
        assert [await task for task in tasks[1:]] == [POD, POD]
        assert activator.counts() == {}

    assert story(told) == [1]


def test_a_start_that_was_seen_is_what_the_next_is_expected_to_take() -> None:
    async def told(activator: Activator, versions: KnownVersions, clock: Clock) -> None:
        [task] = await held(activator, 1)
        clock.now += 20.0
        versions.of[NAME] = {POD: 8}
        activator.pods_changed()
        assert await task == POD
        versions.of.clear()
        versions.failure = "no room"
        activator.ended(NAME, POD, reached=True)
        refused = await activator.pod(NAME, timeout_seconds=60.0, size=1)
        assert isinstance(refused, Refusal)
        assert refused.retry_seconds == 20

    story(told)


def test_one_that_ends_sends_all_to_another() -> None:
    async def told(activator: Activator, _versions: KnownVersions, _clock: Clock) -> None:
        tasks = await held(activator, 2)
        activator.leave()
        for task in tasks:
            with pytest.raises(ConnectionAbortedError):
                await task
        with pytest.raises(ConnectionAbortedError):
            await activator.pod(NAME, timeout_seconds=60.0, size=1)
        assert activator.counts() == {}

    story(told)


def test_who_leaves_frees_the_place() -> None:
    async def told(activator: Activator, versions: KnownVersions, _clock: Clock) -> None:
        first, second = await held(activator, 2)
        first.cancel()
        await asyncio.sleep(0)
        assert activator.counts()[NAME][0] == 1
        versions.of[NAME] = {POD: 1}
        activator.pods_changed()
        assert await second == POD

    story(told)


@pytest.mark.parametrize("text", ["10.0.0.1:8080", "[fd00::1]:8080"])
def test_addresses_are_written_as_envoy_reads_them(text: str) -> None:
    pod = address_of(text)
    assert pod is not None
    assert text_of(pod) == text


def test_what_is_no_address_is_none() -> None:
    assert [address_of(text) for text in ("", "10.0.0.1", "name:80", "10.0.0.1:x")] == [None] * 4


def test_a_call_of_grpc_may_wait_less_than_the_endpoint_allows() -> None:
    assert timeout_of({}) == 297.0
    assert timeout_of({"x-headrace-timeout-ms": "1500"}) == 1.5
    assert timeout_of({"x-headrace-timeout-ms": "1500", "grpc-timeout": "200m"}) == 0.2
    assert timeout_of({"x-headrace-timeout-ms": "1500", "grpc-timeout": "20S"}) == 1.5


def test_a_body_of_unknown_length_counts_as_what_proxies_keep_of_it() -> None:
    assert (size_of({"content-length": "7"}), size_of({})) == (7, 65536)
