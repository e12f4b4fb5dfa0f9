"""Which workers are relieved. Times are the test's."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from headrace.runtimes.workers.worker_handle import WorkerHandle
from headrace.runtimes.workers.worker_health import FACTOR, PATIENCE_SECONDS, WorkerHealth

GIB = 1 << 30


def worker(number: int, *, calls: int = 1, began: float = 0.0, warm_bytes: int = GIB // 4) -> WorkerHandle:
    """One that runs so many calls, of which none has ended since it began."""
    process = cast(Any, SimpleNamespace(pid=number, signal=lambda _: None))
    batches = {one: cast(Any, SimpleNamespace(calls=[object()])) for one in range(calls)}
    return WorkerHandle(number, process=process, progress=began, warm_bytes=warm_bytes, batches=batches)


EMPTY = WorkerHandle(9)


@pytest.mark.parametrize(
    ("longest", "patience"), [(0.05, PATIENCE_SECONDS), (2.0, PATIENCE_SECONDS), (6.0, 6.0 * FACTOR)]
)
def test_a_worker_is_relieved_once_none_of_its_calls_ends_for_much_longer_than_a_call_ever_took(
    longest: float, patience: float
) -> None:
    health, silent = WorkerHealth(), worker(1, calls=3)
    health.called(longest)
    health.called(longest / 2)

    health.relieve([silent, EMPTY], patience - 0.1, used=0.2, memory=GIB)
    assert not silent.leaving

    health.relieve([silent, EMPTY], patience, used=0.2, memory=GIB)
    assert silent.leaving
    assert (health.relieved, silent.given_up()) == (1, 3)


def test_one_that_does_nothing_or_leaves_already_is_not_and_a_second_one_waits_for_the_first() -> None:
    health, idle, first, second = WorkerHealth(), worker(1, calls=0), worker(2), worker(3)

    health.relieve([idle, first, second, EMPTY], PATIENCE_SECONDS, used=None, memory=None)
    assert [each.leaving for each in (idle, first, second)] == [False, True, False]

    successor = worker(9, calls=0)
    health.relieve([idle, first, second, successor], PATIENCE_SECONDS, used=None, memory=None)
    assert not second.leaving


@pytest.mark.parametrize(("used", "relieved"), [(0.69, True), (0.71, False)])
def test_nobody_is_relieved_where_memory_has_no_room_for_another(used: float, relieved: bool) -> None:
    health, silent = WorkerHealth(), worker(1)

    health.relieve([silent, EMPTY], PATIENCE_SECONDS, used=used, memory=GIB)

    assert silent.leaving is relieved
