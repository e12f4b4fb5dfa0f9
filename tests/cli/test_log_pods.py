"""Lines of several containers, by time or as they come; the rest is told by test_logs.py."""

import threading
from collections.abc import Iterator

from headrace.cli.log_lines import LogLine
from headrace.cli.log_pods import as_they_come, merged


def line(time: str) -> LogLine:
    return LogLine.of_pod("x", time=time, pod="p", component="front")


def test_lines_of_several_are_merged_by_time() -> None:
    found = merged([lambda: iter([line("1"), line("4")]), lambda: iter([line("2"), line("3")])])
    assert [each.time for each in found] == ["1", "2", "3", "4"]


def test_lines_come_when_they_come_and_end_with_the_last_container() -> None:
    later = threading.Event()

    def waits() -> Iterator[LogLine]:
        assert later.wait(10)
        yield line("1")

    found = as_they_come([waits, lambda: iter([line("2")])])
    assert next(found).time == "2"
    later.set()
    assert [each.time for each in found] == ["1"]
