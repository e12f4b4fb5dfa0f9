"""A pod that records, as processes: every request that was answered has one row, whatever is killed meanwhile."""

import json
import signal
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import eventually
from recorded_pod import Kills, Load, assert_all_recorded, recorded_pod

from headrace.contract.inference_table import PAYLOAD_LIMIT_BYTES

pytestmark = pytest.mark.slow
REQUESTS = 2000


def test_requests_are_recorded_once_through_kills(tmp_path: Path, echo: Path) -> None:
    with recorded_pod(tmp_path, echo) as pod:
        load, story = Load(pod.front.port), Kills(pod, each=3, seed=1)
        load.send(REQUESTS, meanwhile=story.run)

        assert sum(status != 200 for status in load.answers.values()) <= story.each * load.threads  # the front's kills
        assert_all_recorded(pod, load, front_kills=story.each)


def test_kills_of_sidecar_and_writer_cost_no_request(tmp_path: Path, echo: Path) -> None:
    with recorded_pod(tmp_path, echo) as pod:
        load, story = Load(pod.front.port), Kills(pod, each=2, seed=2, front=False)
        load.send(1000, meanwhile=story.run)

        assert set(load.answers.values()) == {200}
        assert_all_recorded(pod, load)


def test_while_writer_sidecar_or_store_are_away_requests_are_answered(tmp_path: Path, echo: Path) -> None:
    with recorded_pod(tmp_path, echo) as pod:
        pod.take_writer_away()
        assert pod.sidecar is not None
        pod.sidecar.send_signal(signal.SIGSTOP)
        load = Load(pod.front.port)
        load.send(500)
        assert set(load.answers.values()) == {200}
        (tmp_path / "tables").write_text("a file where the store's folder was")
        pod.sidecar.send_signal(signal.SIGCONT)
        eventually(lambda: "does not answer" in (tmp_path / "sidecar.log").read_text())
        pod.start_writer()
        eventually(lambda: "TableUnusable" in (tmp_path / "writer.log").read_text())
        (tmp_path / "tables").unlink()

        assert_all_recorded(pod, load)


def test_a_pod_that_goes_leaves_no_record_behind(tmp_path: Path, echo: Path) -> None:
    with recorded_pod(tmp_path, echo, interval_seconds=3.0) as pod:
        load = Load(pod.front.port)
        load.send(300)
        pod.front.process.terminate()
        pod.front.process.wait(20)
        assert pod.sidecar is not None
        pod.sidecar.terminate()  # as the kubelet does when the front has ended
        assert pod.sidecar.wait(20) == 0

        assert len(pod.rows()) == 300


def test_requests_of_each_kind_have_the_request_and_answer_in_their_row(tmp_path: Path, echo: Path) -> None:
    strange = b'{"inputs": ["\xff\x00"]}'
    with recorded_pod(tmp_path, echo) as pod:
        sent: list[tuple[str, str | None, httpx.Response]] = []
        for path, body, kind in (
            ("/invocations", b'{"inputs": [[1.5]]}', "application/json"),
            ("/invocations", b"{", "application/json"),
            ("/invocations", b'{"inputs": ["\xf0\x9f\x98\x80 \\u0000"]}', "application/json"),
            ("/invocations", b"a\n1.5\n", "text/csv"),
            ("/invocations", b"\x00", "text/csv"),
            ("/invocations", strange, "application/json"),
            ("/invocations", b'{"inputs": ["' + b"x" * (16 * 1024 * 1024 - 16) + b'"]}', "application/json"),
            ("/v2/models/model/infer", infer(), "application/json"),
        ):
            answer = httpx.post(pod.front.url + path, content=body, headers={"content-type": kind}, timeout=30)
            sent.append((path, recorded(body), answer))
        eventually(lambda: len(pod.rows()) == len(sent), seconds=20)

        rows = {row["databricks_request_id"]: row for row in pod.rows()}
        for path, request, answer in sent:
            row: Any = rows[answer.headers["x-request-id"]]
            assert (row["path"], row["request"], row["response"]) == (path, request, answer.text)
            assert row["logging_error_codes"] == ([] if request is not None else ["MAX_REQUEST_SIZE_EXCEEDED"])
            assert row["status_code"] == answer.status_code
        assert sorted({answer.status_code for *_, answer in sent}) == [200, 400]


def recorded(body: bytes) -> str | None:
    """A text as it is, other bytes as a data URL (RFC 2397), and nothing of more than 1 MiB."""
    if len(body) > PAYLOAD_LIMIT_BYTES:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return "data:application/octet-stream;base64," + b64encode(body).decode()


def infer() -> bytes:
    return json.dumps({"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1.5]}]}).encode()


def test_the_sidecar_is_small(tmp_path: Path, echo: Path) -> None:
    with recorded_pod(tmp_path, echo) as pod:
        load = Load(pod.front.port)
        load.send(2000)
        eventually(pod.adds_up, seconds=30)

        assert pod.peak_mib()["sidecar"] <= 80
