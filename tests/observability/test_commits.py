"""Commits: one a table every few seconds, however many pods there are; each pod hears of its own."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from patience import eventually

from headrace.contract.errors import HeadraceError, TemporaryError
from headrace.observability.tables import commits as module
from headrace.observability.tables.batch import Batch
from headrace.observability.tables.commits import Commits
from tests.observability.table_rows import batch


class Table:
    """Remembers its commits."""

    def __init__(self) -> None:
        self.commits: list[list[str]] = []
        self.failure: Exception | None = None
        self.may_commit = threading.Event()
        self.may_commit.set()

    def append(self, batches: Sequence[Batch]) -> int:
        self.may_commit.wait(10)
        if self.failure is not None:
            raise self.failure
        self.commits.append([one.pod_uid for one in batches])
        return sum(len(one.sequences) for one in batches)


class Story:
    def __init__(self) -> None:
        self.now = 0.0
        self.table = Table()
        self.told: list[tuple[str, HeadraceError | None, int]] = []
        self.commits = Commits(
            lambda _: self.table,
            told=lambda endpoint, failure, new, _: self.told.append((endpoint, failure, new)),
            interval_seconds=3.0,
            clock=lambda: self.now,
        )

    def add(self, pod: str, first: int = 1, last: int = 2, endpoint: str = "fraud") -> Any:
        return self.commits.add(endpoint, batch(first, last, pod))


def test_a_hundred_pods_make_one_commit() -> None:
    story = Story()
    futures = [story.add(f"pod-{number}") for number in range(100)]
    story.commits.look()

    assert [future.result(5) for future in futures] == [2] * 100
    assert [len(pods) for pods in story.table.commits] == [100]
    assert eventually(lambda: story.told) == [("fraud", None, 200)]  # told when the pods have heard
    assert story.commits.rows_waiting == 0


def test_what_comes_within_the_interval_waits_for_its_end_and_other_tables_do_not() -> None:
    story = Story()
    first = story.add("pod-1")
    story.commits.look()
    first.result(5)
    later = story.add("pod-2")
    elsewhere = story.add("pod-3", endpoint="churn")
    story.now = 2.9
    story.commits.look()
    elsewhere.result(5)
    assert not later.done()
    story.now = 3.0
    story.commits.look()

    assert later.result(5) == 2


def test_a_table_is_committed_once_at_a_time() -> None:
    story = Story()
    story.table.may_commit.clear()
    first = story.add("pod-1")
    story.commits.look()
    story.now = 10.0
    second = story.add("pod-2")
    story.commits.look()
    assert not second.done()
    story.table.may_commit.set()
    first.result(5)
    eventually(lambda: story.commits.look() or second.done())

    assert story.table.commits == [["pod-1"], ["pod-2"]]


@pytest.mark.parametrize("failure", [TemporaryError("away"), RuntimeError("a panic")])
def test_a_commit_that_fails_is_told_to_every_pod_of_it_and_the_next_is_tried(failure: Exception) -> None:
    story = Story()
    story.table.failure = failure
    futures = [story.add("pod-1"), story.add("pod-2")]
    story.commits.look()
    for future in futures:
        with pytest.raises(TemporaryError):
            future.result(5)
    story.table.failure = None
    story.now = 5.0
    again = story.add("pod-1")
    story.commits.look()

    assert again.result(5) == 2
    eventually(lambda: len(story.told) == 2)
    assert [type(failed) for _, failed, _ in story.told] == [TemporaryError, type(None)]


def test_when_too_many_rows_wait_a_pod_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 10)
    story = Story()
    first = story.add("pod-1", last=8)
    with pytest.raises(TemporaryError, match="send yours again"):
        story.add("pod-2", last=5)
    story.commits.look()
    assert first.result(5) == 8

    assert story.add("pod-3", last=20)  # alone it may be larger: it would never be taken else
