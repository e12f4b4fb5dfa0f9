"""What the kernel does not say when there may be no further thread or process: that there is a limit, and which."""

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.runtimes.worker import frames, pids, serving
from headrace.runtimes.worker.frames import Frame, Kind
from headrace.runtimes.worker.scoring import JSON, Answer
from headrace.runtimes.worker.serving import Worker

NO_THREAD = RuntimeError("can't start new thread")
NO_PROCESS = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


def cgroup(folder: Path, now: int, most: str) -> tuple[str, ...]:
    (folder / "pids.current").write_text(f"{now}\n")
    (folder / "pids.max").write_text(f"{most}\n")
    return (str(folder / "none"), str(folder))


def test_the_limit_of_the_container_is_named(tmp_path: Path) -> None:
    roots = cgroup(tmp_path, 1023, "1024")

    for error in (NO_THREAD, NO_PROCESS):
        assert pids.told(error, roots) == "; the pod has 1023 processes and threads and reached its limit of 1024"


def test_a_limit_that_is_out_of_sight_is_the_nodes(tmp_path: Path) -> None:
    assert "has 900 processes and threads and reached the limit of its node" in pids.told(
        NO_THREAD, cgroup(tmp_path, 900, "max")
    )
    assert "the pod has reached the limit of its node" in pids.told(NO_THREAD, ())


def test_an_error_that_the_limit_has_caused_further_up_is_told_of(tmp_path: Path) -> None:
    error = ValueError("the pool cannot be made")
    error.__cause__ = NO_THREAD

    assert "limit of 10" in pids.told(error, cgroup(tmp_path, 10, "10"))


@pytest.mark.parametrize(
    "error", [NO_PROCESS, RuntimeError("no"), ValueError("can't start new thread"), OSError(errno.EIO, "x")]
)
def test_other_errors_are_left_as_they_are(error: Exception, tmp_path: Path) -> None:
    assert pids.told(error, cgroup(tmp_path, 10, "1024")) == ""
    assert pids.told(error, cgroup(tmp_path, 10, "max")) == ""


class Link:
    """Gives two calls and then tells to leave."""

    def __init__(self) -> None:
        items = {"items": [[JSON, 2]]}
        self.frames = [Frame(Kind.SCORE, {"call": call, **items}, b"{}") for call in (1, 2)]
        self.sent: list[Any] = []

    def receive(self) -> Frame:
        return self.frames.pop(0) if self.frames else Frame(Kind.LEAVE, {}, b"")

    def send(self, frame: bytes) -> None:
        reader = frames.Reader()
        reader.feed(frame)
        self.sent.append(reader.next())


def test_a_worker_without_a_thread_to_spare_answers_one_call_after_the_other(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise NO_THREAD

    monkeypatch.setattr(serving.threading, "Thread", refused)
    watch = SimpleNamespace(checked=0, differed=0)
    merger: Any = SimpleNamespace(
        merges=False, watch=watch, checking_seconds=0.0, learn=lambda: None,
        answer=lambda requests: [Answer(200, b"1") for _ in requests],
    )  # fmt: skip
    link: Any = Link()
    Worker(link, merger).run()

    assert [frame.head["call"] for frame in link.sent] == [1, 2]
    assert "calls wait for each other: can't start new thread; the pod has" in capfd.readouterr().err
