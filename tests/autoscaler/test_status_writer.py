"""What no decision waits for is written all the same, and a surprise is told."""

import threading

import pytest

from headrace.autoscaler.status_writer import StatusWriter


def test_a_job_that_fails_is_logged_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    written = threading.Event()

    def fail() -> None:
        raise KeyError("spec")

    writer = StatusWriter()
    for job in (fail, written.set):
        writer.submit(job)
    assert written.wait(10)
    writer.close()

    assert "KeyError: 'spec'" in caplog.text
