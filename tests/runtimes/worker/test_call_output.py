"""What a model prints goes into one pipe as records, each with the call in which it was printed."""

import asyncio
import contextlib
import io
import logging
import os
import threading
import traceback
from collections.abc import Iterator

import pytest

from headrace.runtimes.worker import call_output
from headrace.runtimes.worker.call_output import LONGEST, CallLog, CallOutput


class Scene:
    """A stream whose other end is read."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)
        self.stream = CallOutput(self.write)

    def records(self) -> list[tuple[str, str]]:
        """Mark and text of each record so far."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._read, 1 << 20)
        lines = [line.removeprefix("\x1e").split("\x1f") for line in data.decode().split("\n")[:-1]]
        return [(mark, text.replace("\x1d", "\n")) for mark, text in lines]

    def close(self) -> None:
        for descriptor in (self._read, self.write):
            os.close(descriptor)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    call_output._outputs[:] = [made.stream]
    yield made
    call_output._outputs.clear()
    made.close()


@contextlib.contextmanager
def call(number: int, said: list[bool] | None = None) -> Iterator[None]:
    token = call_output.begin(number)
    try:
        yield
    finally:
        found = call_output.end(token)
        if said is not None:
            said.append(found)


def test_a_line_printed_in_pieces_is_one_record_of_its_call(scene: Scene) -> None:
    said: list[bool] = []
    with call(17, said):
        print("rows:", 3, file=scene.stream)
    with call(18, said):
        pass
    print("between calls", file=scene.stream)
    assert scene.records() == [("17,0,", "rows: 3"), ("0,0,", "between calls")]
    assert said == [True, False]


def test_what_a_call_has_begun_ends_with_the_call(scene: Scene) -> None:
    with call(17):
        print("no end", end="", file=scene.stream)
        assert scene.records() == []
    assert scene.records() == [("17,0,", "no end")]


def test_a_trace_is_one_record_however_it_is_printed(scene: Scene) -> None:
    def fail() -> None:
        raise ValueError("two\nlines of a reason")

    with call(17):
        try:
            fail()
        except ValueError:
            traceback.print_exc(file=scene.stream)
            log = logging.Logger("fraud")
            log.addHandler(CallLog(scene.stream))
            log.exception("it failed")
        print("and on", file=scene.stream)
    (first, trace), (second, logged), last = scene.records()
    assert (first, second, last) == ("17,0,", "17,40,fraud", ("17,0,", "and on"))
    assert trace.startswith("Traceback")
    assert trace.endswith("lines of a reason")
    assert logged.startswith("it failed\nTraceback")


def test_a_trace_that_never_ends_ends_with_its_call(scene: Scene) -> None:
    with call(17):
        print(call_output.TRACE, file=scene.stream)
    assert scene.records() == [("17,0,", call_output.TRACE)]


def test_threads_of_the_model_belong_to_no_call_and_tasks_to_their_starters(scene: Scene) -> None:
    async def task() -> None:
        print("a task", file=scene.stream)

    with call(17):
        thread = threading.Thread(target=print, args=("a thread",), kwargs={"file": scene.stream})
        thread.start()
        thread.join()
        asyncio.run(task())
    assert scene.records() == [("0,0,", "a thread"), ("17,0,", "a task")]


def test_of_a_progress_bar_its_last_state_is_kept(scene: Scene) -> None:
    with call(17):
        for done in (10, 50, 100):
            print(f"\r{done} %", end="", file=scene.stream, flush=True)
    assert scene.records() == [("17,0,", "100 %")]


@pytest.mark.parametrize("end", ["\n", ""])
def test_what_is_longer_than_a_record_is_its_beginning_and_how_much_is_missing(scene: Scene, end: str) -> None:
    print("x" * 1_000_000, end=end, file=scene.stream)
    ((_, text), *_) = scene.records()
    assert text == "x" * LONGEST + f" … {1_000_000 - LONGEST} characters more"


def test_marks_within_a_text_are_text(scene: Scene) -> None:
    with call(17):
        print("one\n\x1e99,0,\x1ftwo", file=scene.stream)
    os.set_blocking(scene._read, False)
    data = os.read(scene._read, 4096)
    assert data == b"\x1e17,0,\x1fone\x1d\x1e99,0,\x1ftwo\n"
    assert data.count(b"\n") == 1


def test_a_lone_surrogate_is_printed(scene: Scene) -> None:
    print("a \ud800", file=scene.stream)
    assert scene.records() == [("0,0,", "a \\ud800")]


def test_it_is_a_stream_as_others(scene: Scene) -> None:
    stream = scene.stream
    assert isinstance(stream, io.TextIOWrapper)
    assert (stream.fileno(), stream.encoding, stream.isatty(), stream.writable()) == (scene.write, "utf-8", False, True)
    stream.buffer.write(b"bytes\n")
    assert os.read(scene._read, 100) == b"bytes\n"
    with pytest.raises(TypeError, match="must be str, not bytes"):
        stream.write(b"bytes")  # type: ignore[arg-type]
    stream.close()
    with pytest.raises(ValueError, match="closed file"):
        stream.write("late")
