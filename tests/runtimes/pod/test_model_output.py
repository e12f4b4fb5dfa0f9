"""What comes out of a worker's pipes becomes lines: bounded, with the requests they belong to, and nothing forged."""

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from headrace.runtimes.pod.log_outlet import BURST_BYTES, LINE_BYTES, Outlet
from headrace.runtimes.pod.model_output import LONGEST_LINE, SETTLE_SECONDS, Pipe, named_of, pipes, told_apart


class Kept(Outlet):
    """Keeps lines instead of writing them."""

    def __init__(self) -> None:
        super().__init__({}, clock=lambda: 0.0)
        self.lines: list[dict[str, Any]] = []

    def put(self, size: int, severity: str, body: str, fields: Mapping[str, object]) -> None:
        self.lines.append({"severity": severity, "body": body, **fields})


def printed(*pieces: bytes, named: Callable[[int], Mapping[str, object]] = lambda call: {}) -> tuple[Kept, Pipe]:
    """What becomes of pieces that come one after the other."""
    kept, pipe = Kept(), Pipe(1, "stdout")

    async def run() -> None:
        pipe.named = named
        pipe.listen(kept)
        for piece in pieces:
            for begin in range(0, len(piece), 65536):
                os.write(pipe.write, piece[begin : begin + 65536])
                pipe.look()
        pipe.ended()

    asyncio.run(run())
    return kept, pipe


def bodies(*pieces: bytes) -> list[str]:
    return [line["body"] for line in printed(*pieces)[0].lines]


def test_lines_are_those_of_the_model_with_worker_and_stream() -> None:
    (line,) = printed(b"hello\n")[0].lines
    assert line == {
        "severity": "INFO", "body": "hello", "component": "model", "scope": "model",
        "attributes": {"worker": 1, "stream": "stdout"},
    }  # fmt: skip


def test_a_line_is_whole_however_it_comes_and_empty_ones_are_none() -> None:
    assert bodies(b"one\n\ntwo \xff half", b" done\n", b"no end") == ["one", "two \ufffd half done", "no end"]


def test_a_long_line_is_cut_and_one_of_ten_mebibytes_is_bounded() -> None:
    cut = bodies(b"x" * (LONGEST_LINE + 5) + b"\n")
    assert [len(body) for body in cut] == [LONGEST_LINE, 5]
    kept, pipe = printed(b"x" * 10 * 1024 * 1024 + b"\n")
    assert sum(len(line["body"]) for line in kept.lines) <= BURST_BYTES + LONGEST_LINE
    assert kept.dropped["rate"] >= 600
    assert len(pipe._rest) <= LONGEST_LINE


def test_a_hundred_thousand_lines_at_once_are_counted() -> None:
    kept, pipe = printed(b"".join(b"%d\n" % number for number in range(100_000)))
    assert len(kept.lines) <= BURST_BYTES // LINE_BYTES
    assert len(kept.lines) + kept.dropped["rate"] == 100_000
    assert pipe.last[-1] == "99999", "the last words may be the reason of an end"


def test_a_marked_record_has_its_call_level_and_logger() -> None:
    known = {17: {"request_id": "r1"}}
    kept, _ = printed(b"\x1e17,40,fraud\x1fit failed\x1dfor a reason\n", named=known.__getitem__)
    (line,) = kept.lines
    assert (line["severity"], line["body"], line["request_id"]) == ("ERROR", "it failed\nfor a reason", "r1")
    assert line["attributes"] == {"worker": 1, "stream": "stdout", "logger": "fraud"}


@pytest.mark.parametrize(
    ("forged", "body"),
    [
        (b'{"endpoint": "other", "request_id": "r9", "component": "front"}', None),
        (b"\x1e99,0,\x1fof a call that is not this worker's", "of a call that is not this worker's"),
        (b"\x1e1,0,headrace.front\x1fin the name of the front", "in the name of the front"),
        (b"\x1enot,a,mark", None),
        (b"\x1b[31mred\x1b[0m \x00 \x9b", "\x1b[31mred\x1b[0m \x00 \ufffd"),
    ],
)
def test_a_model_speaks_for_itself_alone(forged: bytes, body: str | None) -> None:
    (line,) = printed(forged + b"\n", named={}.__getitem__)[0].lines
    assert line["body"] == (forged.decode() if body is None else body)
    assert (line["component"], line["scope"]) == ("model", "model")
    assert not {"endpoint", "request_id", "version", "pod"} & set(line)


TRACE = b'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\nValueError: 4111\n'


def test_a_trace_without_marks_is_one_line() -> None:
    kept, _ = printed(b"before\n" + TRACE[:50], TRACE[50:] + b"after\n")
    before, trace, after = kept.lines
    assert (before["body"], trace["body"], after["body"]) == ("before", "ValueError: 4111", "after")
    assert trace["severity"] == "ERROR"
    assert trace["exception"] == TRACE.decode().rstrip()


def test_a_trace_that_does_not_go_on_is_told_as_it_is() -> None:
    kept, pipe = Kept(), Pipe(0, "stderr")

    async def run() -> None:
        pipe.listen(kept)
        os.write(pipe.write, TRACE[:36])
        await asyncio.sleep(2 * SETTLE_SECONDS)

    asyncio.run(run())
    assert [line["body"] for line in kept.lines] == ["Traceback (most recent call last):"]


def test_what_is_said_and_its_trace_are_told_apart() -> None:
    trace = TRACE.decode().rstrip()
    assert told_apart("fine") == ("fine", "")
    assert told_apart(f"the model raised\n{trace}") == ("the model raised", trace)


def test_a_line_of_a_merged_call_has_all_of_its_requests_within_bounds() -> None:
    def asker(number: int) -> Callable[[], Mapping[str, object]]:
        return lambda: {"request_id": f"r{number}", "trace_id": "t"}

    assert named_of([asker(1)]) == {"request_id": "r1", "trace_id": "t"}
    assert named_of([asker(1), asker(2)]) == {"request_ids": ["r1", "r2"], "requests": 2}
    many = named_of([asker(number) for number in range(64)])
    assert (len(many["request_ids"]), many["requests"]) == (16, 64)  # type: ignore[arg-type]
    assert named_of([None]) == named_of([None, None]) == named_of([]) == {}


def test_each_worker_has_two() -> None:
    assert [(pair[0]._attributes, pair[1]._attributes["stream"]) for pair in pipes(1)] == [
        ({"worker": 0, "stream": "stdout"}, "stderr")
    ]
