"""`headrace table`, and the other readers that people have."""

import json
from pathlib import Path, PurePosixPath

import pytest
from typer.testing import CliRunner

from headrace.cli.__main__ import app
from headrace.observability.tables.delta import InferenceDeltaTable
from tests.observability.table_rows import batch


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with the table of one endpoint, in two commits."""
    of = InferenceDeltaTable(str(tmp_path / "fraud"), {}, volume=PurePosixPath(tmp_path))
    of.append([batch(1, 4, request='{"inputs": ["[red]a\\u0007"]}')])
    of.append([batch(5, 6, "pod-2", response=None, logging_error_codes=["MAX_RESPONSE_SIZE_EXCEEDED"])])
    return tmp_path


def test_the_last_rows_are_printed_as_json_the_newest_at_the_end(tables: Path) -> None:
    done = CliRunner().invoke(app, ["table", "fraud", "--uri", str(tables), "--last", "3", "--json"])

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [row["sequence"] for row in rows] == [4, 5, 6]
    assert rows[-1]["logging_error_codes"] == ["MAX_RESPONSE_SIZE_EXCEEDED"]
    assert rows[0]["request_time"].startswith("2026-11-30T")


def test_people_get_a_table_in_which_no_payload_does_anything(tables: Path) -> None:
    done = CliRunner().invoke(app, ["table", "fraud", "--uri", str(tables / "fraud")], env={"COLUMNS": "200"})

    assert done.exit_code == 0
    assert "Last requests to fraud" in done.stdout
    assert "\a" not in done.stdout
    assert "[red]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nobody"], "holds no table yet"), (["fraud", "--option", "x"], "must be NAME=VALUE")],
)
def test_what_cannot_be_read_is_said_in_a_sentence(tables: Path, arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["table", *arguments, "--uri", str(tables)])

    assert done.exit_code == 2
    assert said in done.output


def test_duckdb_pandas_polars_and_arrow_read_the_same_rows(tables: Path) -> None:
    import duckdb  # noqa: PLC0415
    import pandas  # noqa: PLC0415
    import polars  # noqa: PLC0415
    import pyarrow  # noqa: PLC0415
    from deltalake import DeltaTable  # noqa: PLC0415

    found = DeltaTable(str(tables / "fraud"))
    arrow = pyarrow.table(found.to_pyarrow_table())
    frame: pandas.DataFrame = found.to_pandas()
    with duckdb.connect() as base:
        base.register("rows", arrow)
        counted = base.execute("select count(*), sum(sequence), min(request_date) from rows").fetchall()

    assert [(int(rows), int(total), str(day)) for rows, total, day in counted] == [(6, 21, "2026-11-30")]
    assert sorted(frame["sequence"]) == [1, 2, 3, 4, 5, 6]
    assert polars.read_delta(str(tables / "fraud"))["sequence"].sum() == 21
