"""Redaction: what is named is gone, wherever it is, and all else stays."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.contract.errors import InputError
from headrace.contract.inference_table import NOT_REDACTABLE, REDACTED, Redaction
from headrace.runtimes.records.redaction import Redactor, steps_of
from headrace.runtimes.records.row import redacted
from tests.runtimes.records.record_frames import frame

EMAIL = r"[\w.]+@[\w.]+"
CARD = r"\b\d{16}\b"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {"dataframe_split": {"columns": ["a", "ssn"], "data": [[1, 2], [3, 4], [5]]}},
            {"dataframe_split": {"columns": ["a", "ssn"], "data": [[1, REDACTED], [3, REDACTED], [5]]}},
        ),
        ({"dataframe_records": [{"ssn": 1, "b": 2}]}, {"dataframe_records": [{"ssn": REDACTED, "b": 2}]}),
        ({"inputs": {"ssn": [1, 2], "b": [3]}}, {"inputs": {"ssn": REDACTED, "b": [3]}}),
        (
            {"inputs": [{"name": "ssn", "shape": [1], "data": [7]}, {"name": "b", "data": [8]}]},
            {"inputs": [{"name": "ssn", "shape": [1], "data": REDACTED}, {"name": "b", "data": [8]}]},
        ),
        ({"predictions": [{"ssn": 1}]}, {"predictions": [{"ssn": REDACTED}]}),
    ],
)
def test_a_column_is_gone_in_every_form_of_table(document: Any, expected: Any) -> None:
    assert Redactor(Redaction(columns=("ssn",))).document(document) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", REDACTED),
        ("$.a", {"a": REDACTED, "b": [1, {"c": 2}]}),
        ("$.b[0]", {"a": "x", "b": [REDACTED, {"c": 2}]}),
        ("$.b[*].c", {"a": "x", "b": [1, {"c": REDACTED}]}),
        ("$['b']", {"a": "x", "b": REDACTED}),
        ("$.*", {"a": REDACTED, "b": REDACTED}),
        ("$.a.b.c", {"a": "x", "b": [1, {"c": 2}]}),
    ],
)
def test_a_path_names_what_is_gone(path: str, expected: Any) -> None:
    found = Redactor(Redaction(json_paths=(path,))).document({"a": "x", "b": [1, {"c": 2}]})

    assert found == expected


@pytest.mark.parametrize("path", ["", "a", "$a", "$.", "$..a", "$[", "$[-1]", "$.a b", "$[?(@.x)]"])
def test_what_is_no_path_is_refused_by_name(path: str) -> None:
    with pytest.raises(InputError, match="json_paths has"):
        steps_of(path)


CANARY = st.sampled_from(["eve@example.com", "4111111111111111"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), CANARY, st.just(4111111111111111)
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
)


@given(DOCUMENTS, CANARY)
def test_a_pattern_is_found_wherever_it_is(document: Any, canary: str) -> None:
    redactor = Redactor(Redaction(patterns=(EMAIL, CARD)))
    body = orjson.dumps({"inputs": [document, f"call {canary}!"], f"key {canary}": 1}, option=orjson.OPT_NON_STR_KEYS)
    escaped = body.replace(b"@", b"\\u0040")  # the same in other letters
    for text in (body, escaped):
        found = redacted(frame(1, text, text, client_request_id=canary), redactor)
        assert found.request is not None
        assert b"eve@example.com" not in found.request
        assert b"4111111111111111" not in found.request
        assert b"\\u0040" not in found.request
        assert found.response == found.request
        assert found.meta.client_request_id == REDACTED


def test_what_cannot_be_read_is_not_kept_where_columns_are_to_go() -> None:
    csv = frame(1, b"a,ssn\n1,2\n", b'{"predictions": [1]}', content_type="text/csv")
    found = redacted(csv, Redactor(Redaction(columns=("ssn",))))

    assert (found.request, found.response) == (None, b'{"predictions":[1]}')
    assert found.meta.error_codes == [NOT_REDACTABLE]


def test_a_pattern_is_found_in_what_is_no_json() -> None:
    csv = frame(1, b"name\neve@example.com\n", b"", content_type="text/csv")

    assert redacted(csv, Redactor(Redaction(patterns=(EMAIL,)))).request == b"name\n[REDACTED]\n"


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputError) as told:
        Redactor(Redaction(json_paths=("x", "$.a"), patterns=("(", "b")))

    assert len(told.value.faults) == 2
