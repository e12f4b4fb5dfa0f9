"""The matrix of faults on a record's way, on real processes: what a request's row survives, in full numbers.

`make test` runs the same stories with fewer kills and shorter outages: tests/runtimes/sidecar/test_exactly_once.py.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from object_store import object_store
from patience import eventually
from recorded_pod import Kills, Load, RecordedPod, assert_all_recorded, recorded_pod

pytestmark = pytest.mark.long
REQUESTS, KILLS = 20_000, 20
AWAY_SECONDS = 600.0


def test_twenty_kills_of_each_program_and_moment_lose_and_double_nothing(
    tmp_path: Path, echo: Path, record_property: Callable[[str, object], None]
) -> None:
    with recorded_pod(tmp_path, echo) as pod:
        load, story = Load(pod.front.port), Kills(pod, each=KILLS, seed=20)
        load.send(REQUESTS, meanwhile=story.run)

        unanswered = sum(status != 200 for status in load.answers.values())
        assert unanswered <= story.each * load.threads
        assert_all_recorded(pod, load, front_kills=story.each)
        between = pod.files_of_no_commit()
        assert between > 0
        for name, value in {
            "requests": len(load.answers), "not_200": unanswered, "rows": len(pod.rows()), "kills": 5 * KILLS,
            "kills_between_file_and_log": between,
        }.items():  # fmt: skip
            record_property(name, value)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB for records."""
    (tmp_path / "records").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", tmp_path / "records"], check=False).returncode:
        pytest.skip("file systems are mounted by root alone")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path / "records"], check=True)


def test_r35_a_full_disk_of_records_fails_no_request_and_each_drop_is_counted(
    small_disk: Path, echo: Path, record_property: Callable[[str, object], None]
) -> None:
    with recorded_pod(small_disk, echo) as pod:
        pod.take_writer_away()
        load, after = Load(pod.front.port, more="x" * 50_000), Load(pod.front.port, name="after-")
        load.send(1500)
        assert set(load.answers.values()) == {200}
        pod.start_writer()
        eventually(lambda: pod.metrics()["pending"] == 0, "an empty disk")
        after.send(200)

        dropped = assert_all_recorded(pod, load, after, no_room=("disk",))
        rows = {row["client_request_id"] for row in pod.rows()}
        assert dropped["disk"] > 500
        assert {*after.answers} <= rows
        record_property("requests", len(load.answers) + len(after.answers))
        record_property("dropped_and_counted", dropped["disk"])


def test_r36_a_store_away_for_ten_minutes_fails_no_request_and_all_rows_are_in_a_minute_after_its_return(
    tmp_path: Path, echo: Path, record_property: Callable[[str, object], None]
) -> None:
    with (
        object_store() as store,
        recorded_pod(tmp_path, echo, interval_seconds=3.0, store=store.folder, storage_options=store.options) as pod,
    ):
        before = paced(pod, 60.0, "before-")
        assert_all_recorded(pod, before)
        store.process.send_signal(signal.SIGSTOP)  # it takes connections and answers none
        during = paced(pod, AWAY_SECONDS, "during-")
        peak = pod.peak_mib()
        store.process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        assert_all_recorded(pod, before, during)

        assert {*before.answers.values(), *during.answers.values()} == {200}
        assert peak["sidecar"] <= 96  # MiB: its limit in components/endpoint/endpoint_recording.py
        assert peak["writer"] <= 1024  # in components/platform/table_writer.py
        for name, value in {
            "requests": len(before.answers) + len(during.answers), "not_200": 0,
            "p99_ms_before": p99_ms(before), "p99_ms_during": p99_ms(during),
            "sidecar_peak_mib": round(peak["sidecar"]), "writer_peak_mib": round(peak["writer"]),
            "seconds_until_all_rows": round(time.monotonic() - began, 1),
        }.items():  # fmt: skip
            record_property(name, value)


def test_r38_a_sidecar_that_stands_still_for_a_minute_fails_no_request(
    tmp_path: Path, echo: Path, record_property: Callable[[str, object], None]
) -> None:
    with recorded_pod(tmp_path, echo) as pod:
        assert pod.sidecar is not None
        before = paced(pod, 30.0, "before-")
        pod.sidecar.send_signal(signal.SIGSTOP)
        during = paced(pod, 60.0, "during-")
        pod.sidecar.send_signal(signal.SIGCONT)

        assert_all_recorded(pod, before, during)
        assert {*before.answers.values(), *during.answers.values()} == {200}
        record_property("requests", len(before.answers) + len(during.answers))
        record_property("not_200", 0)
        record_property("p99_ms_before", p99_ms(before))
        record_property("p99_ms_during", p99_ms(during))


def paced(pod: RecordedPod, seconds: float, name: str) -> Load:
    """About 40 requests a second for so long, all answered."""
    load, until = Load(pod.front.port, threads=2, pause_seconds=0.05, name=name), time.monotonic() + seconds
    load.enough_when = lambda: time.monotonic() > until
    load.send(1_000_000)
    return load


def p99_ms(load: Load) -> float:
    """Of its answers."""
    return round(sorted(load.seconds)[int(len(load.seconds) * 0.99)] * 1000, 1)
