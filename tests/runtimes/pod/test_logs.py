"""How a pod's programs log, and what is left of a reason for the kubelet."""

from pathlib import Path

import pytest

from headrace.runtimes.pod.logs import TERMINATION_MESSAGE_LENGTH, fields_of, tell_reason


def test_a_pods_lines_name_its_endpoint_and_version() -> None:
    environment = {"HEADRACE_ENDPOINT": "fraud", "HEADRACE_VERSION": "v7"}
    assert fields_of(environment) == {"endpoint": "fraud", "version": "v7"}


def test_a_reason_is_logged_and_left_for_the_kubelet_where_it_reads_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read = tmp_path / "termination-log"
    read.touch()
    reason = "the weights are missing" + "." * TERMINATION_MESSAGE_LENGTH
    tell_reason(reason, read)
    tell_reason(reason, tmp_path / "absent")  # outside of Kubernetes
    tell_reason(reason, tmp_path)  # cannot be written

    assert read.read_text() == reason[:TERMINATION_MESSAGE_LENGTH]
    assert not (tmp_path / "absent").exists()
    said = [record.getMessage() for record in caplog.records]
    assert said.count(f"the model cannot be served: {reason}") == 3
    assert said[-1].startswith(f"cannot write {tmp_path}")


def test_a_reason_that_is_no_unicode_reaches_the_kubelet(tmp_path: Path) -> None:
    kept = tmp_path / "termination-log"
    kept.touch()
    tell_reason("no \ud800 text", kept)

    assert kept.read_text() == "no \\ud800 text"
