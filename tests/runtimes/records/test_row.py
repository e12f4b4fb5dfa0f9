"""Rows: one for each record, with the columns of the table in their order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.contract.inference_table import COLUMNS
from headrace.runtimes.records.row import row
from tests.runtimes.records.record_frames import frame


def named(*arguments: Any, **changed: Any) -> dict[str, Any]:
    return dict(zip(COLUMNS, row(frame(*arguments, **changed), "pod-1"), strict=True))


def test_a_row_says_what_was_asked_and_answered() -> None:
    found = named(5, b'{"inputs": [1]}', b'{"predictions": [2]}', trace_id="a" * 32)

    assert found == {
        "databricks_request_id": "id-1", "request_date": 20787, "client_request_id": None,
        "request_time": 1_796_000_000_250_000, "status_code": 200, "sampling_fraction": 1.0,
        "execution_duration_ms": 12, "request": '{"inputs": [1]}', "response": '{"predictions": [2]}',
        "logging_error_codes": [], "served_entity_id": "v7", "requester": "alice", "trace_id": "a" * 32,
        "path": "/invocations", "input_tokens": None, "output_tokens": None, "pod_uid": "pod-1", "sequence": 5,
    }  # fmt: skip


def test_a_clients_own_id_is_read_in_the_body_and_a_header_goes_before_it() -> None:
    body = b'{"client_request_id": "mine", "inputs": []}'

    assert named(1, body)["client_request_id"] == "mine"
    assert named(1, body, client_request_id="header")["client_request_id"] == "header"
    assert named(1, b'{"a": "client_request_id"')["client_request_id"] is None


def test_tokens_are_those_that_the_answer_tells() -> None:
    found = named(1, b"{}", b'{"usage": {"prompt_tokens": 3, "completion_tokens": 4}}')

    assert (found["input_tokens"], found["output_tokens"]) == (3, 4)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xfe", "😀".encode(), b"data: {", b"{" * 5000, b'"\xed\xa0\x80"'])
def test_no_payload_is_without_a_row(data: bytes) -> None:
    assert len(row(frame(1, data, data), "pod")) == len(COLUMNS)


@given(st.binary(max_size=300), st.sampled_from(["/invocations", "/inference.GRPCInferenceService/ModelInfer"]))
def test_nor_is_any_other(data: bytes, path: str) -> None:
    for answer in (data, b"data:" + data, b'{"binary_data_size": 1}' + data, b"\0\0\0\0" + data):
        found = row(frame(1, data, answer, path=path, json_length=3), "pod")
        assert all(isinstance(found[at], str) for at in (7, 8))
