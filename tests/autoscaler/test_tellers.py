"""What no decision waits for is written all the same, and a surprise is told."""

import threading

import pytest

from headrace.autoscaler.tellers import Tellers


def test_a_job_that_fails_is_logged_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    written = threading.Event()

    def fail() -> None:
        raise KeyError("spec")

    tellers = Tellers()
    for job in (fail, written.set):
        tellers.tell(job)
    assert written.wait(10)
    tellers.close()

    assert "KeyError: 'spec'" in caplog.text
