"""Shares of the pod's limits from cgroup files; what is not known is None, never zero."""

from pathlib import Path

import pytest

from headrace.runtimes.pod.cgroup import Usage


def test_without_cgroup_files_nothing_is_known(tmp_path: Path) -> None:
    usage = Usage(2.0, None, tmp_path)

    for _ in range(2):
        ratios = usage.read()
        assert (ratios.cpu_ratio, ratios.memory_ratio, ratios.io_wait_ratio) == (None, None, None)


def test_the_first_look_has_no_interval(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 1000000\n")

    assert Usage(2.0, None, tmp_path).read().cpu_ratio is None


def test_cpu_is_a_share_of_the_cores_and_at_most_one(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 1000000\nuser_usec 1\n")
    usage = Usage(2.0, None, tmp_path)
    usage.read()
    (tmp_path / "cpu.stat").write_text("usage_usec 900000000000\n")

    assert usage.read().cpu_ratio == 1.0
    assert usage.read().cpu_ratio == 0.0


@pytest.mark.parametrize(
    ("used", "stat", "key"),
    [
        ("memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ],
    ids=["v2", "v1"],
)
def test_memory_leaves_out_file_pages_nobody_uses(tmp_path: Path, used: str, stat: str, key: str) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / used).write_text("800\n")
    (tmp_path / stat).write_text(f"cache 1\n{key} 300\n")

    assert Usage(2.0, 1000, tmp_path).memory_ratio() == 0.5


@pytest.mark.parametrize(
    ("file", "text"), [("cpu.stat", "throttled_usec 2500000\n"), ("cpu/cpu.stat", "throttled_time 2500000000\n")]
)
def test_time_kept_from_the_cores_is_told_in_seconds(tmp_path: Path, file: str, text: str) -> None:
    assert Usage(2.0, None, tmp_path).read().throttled_seconds is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / file).write_text(f"nr_periods 10\n{text}")

    assert Usage(2.0, None, tmp_path).read().throttled_seconds == 2.5


def test_memory_is_told_where_nothing_limits_it(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("800\n")

    usage = Usage(2.0, None, tmp_path)
    assert (usage.read().memory_bytes, usage.memory_ratio()) == (800.0, None)


def test_waiting_for_io_is_read_from_pressure(tmp_path: Path) -> None:
    (tmp_path / "io.pressure").write_text("some avg10=0.00 total=0\nfull avg10=0.00 total=0\n")
    usage = Usage(2.0, None, tmp_path)
    usage.read()
    (tmp_path / "io.pressure").write_text("some avg10=0.00 total=999999999999\nfull avg10=0.00 total=5\n")

    assert usage.read().io_wait_ratio == 1.0


def test_what_a_start_costs_is_not_counted_as_serving(tmp_path: Path) -> None:
    usage = Usage(2.0, None, tmp_path)
    assert usage.read(ready=True).cpu_seconds is None
    (tmp_path / "cpu.stat").write_text("usage_usec 1000000\n")
    assert usage.read(ready=False).cpu_seconds is None
    (tmp_path / "cpu.stat").write_text("usage_usec 900000000000\n")

    first = usage.read(ready=True)
    assert (first.cpu_ratio, first.cpu_seconds) == (None, 0.0)
    (tmp_path / "cpu.stat").write_text("usage_usec 900000250000\n")
    later = usage.read(ready=False)
    assert later.cpu_seconds == pytest.approx(0.25)
    assert later.cpu_ratio is not None
