"""Batches: what is no row is refused, before it can keep others out of the table."""

from typing import Any

import orjson
import pytest

from headrace.contract.errors import InputError
from headrace.observability.tables.batch import SCHEMA, Batch, joined
from tests.observability.table_rows import batch, lines, row


def test_rows_become_a_table_with_the_columns_types() -> None:
    table = batch(1, 3).rows

    assert table.schema == SCHEMA
    assert table.column("sequence").to_pylist() == [1, 2, 3]
    assert str(table.column("request_date").to_pylist()[0]) == "2026-11-30"


def test_of_a_batch_that_comes_again_only_what_is_new_is_left() -> None:
    again = batch(3, 8).after(5)

    assert again is not None
    assert again.rows.column("sequence").to_pylist() == list(again.sequences) == [6, 7, 8]
    assert batch(3, 8).after(8) is None
    assert joined([again, batch(1, 2, "pod-2")]).num_rows == 5


def test_a_row_is_of_the_pod_that_sends_it_whatever_it_says() -> None:
    read = Batch.read(lines(1, 1, "somebody-else"), pod_uid="pod-1")

    assert read.rows.column("pod_uid").to_pylist() == ["pod-1"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1, 2]",
        b'{"sequence": 1}',
        lines(2, 2) + b"\n" + lines(1, 1),
        lines(1, 1) + b"\n" + lines(1, 1),
        lines(0, 0),
        orjson.dumps(row(1, sequence="1")),
        orjson.dumps(row(1, sequence=True)),
    ],
)
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        Batch.read(body, pod_uid="pod")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status_code", "200"),
        ("status_code", 2**40),
        ("request_date", "2026-11-30"),
        ("request", 5),
        ("logging_error_codes", [5]),
        ("logging_error_codes", 5),
        ("execution_duration_ms", {}),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_column(column: str, value: Any) -> None:
    with pytest.raises(InputError, match=column):
        Batch.read(orjson.dumps(row(1, **{column: value})), pod_uid="pod")
