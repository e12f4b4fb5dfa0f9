"""`headrace labels`: what turned out to be right, joined to requests by the ids that clients gave."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from headrace.cli.__main__ import app
from headrace.observability.tables.delta import InferenceDeltaTable
from tests.observability.table_rows import batch


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with the table of one endpoint: three requests with ids of clients and one without."""
    of = InferenceDeltaTable(str(tmp_path / "fraud"), {}, volume=PurePosixPath(tmp_path))
    of.append([batch(number, number, client_request_id=f"order-{number}") for number in (1, 2, 3)])
    of.append([batch(4, 4)])
    return tmp_path


def keep(tables: Path, text: str, name: str = "labels.csv") -> Result:
    (tables / name).write_text(text)
    return CliRunner().invoke(app, ["labels", "fraud", str(tables / name), "--uri", str(tables)])


def test_scripts_are_told_how_many_are_kept_and_where(tables: Path) -> None:
    (tables / "labels.csv").write_text("client_request_id,label\norder-1,good\n")
    given = ["labels", "fraud", str(tables / "labels.csv"), "--uri", str(tables), "--json"]
    done = CliRunner().invoke(app, given)

    assert json.loads(done.stdout) == {"endpoint": "fraud", "kept": 1, "table": f"{tables}/fraud_labels"}


def joined(tables: Path) -> dict[int, Any]:
    """Label by sequence, as `headrace table --with-labels` tells."""
    done = CliRunner().invoke(app, ["table", "fraud", "--uri", str(tables), "--with-labels", "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["sequence"] for row in rows] == sorted(row["sequence"] for row in rows)
    return {row["sequence"]: row["label"] for row in rows}


def test_labels_come_later_and_again_and_the_last_one_counts(tables: Path) -> None:
    first = keep(tables, "client_request_id,label\norder-1,good\norder-3,good\norder-9,good\n")
    assert first.exit_code == 0
    assert "3 labels of requests to fraud are kept" in first.stdout
    assert joined(tables) == {1: "good", 2: None, 3: "good", 4: None}

    assert keep(tables, '{"client_request_id": "order-3", "label": [1.5]}\n', "more.jsonl").exit_code == 0
    assert joined(tables) == {1: "good", 2: None, 3: "[1.5]", 4: None}


def test_people_get_a_column_of_labels(tables: Path) -> None:
    keep(tables, "client_request_id,label\norder-2,[red]fraud\n")
    done = CliRunner().invoke(app, ["table", "fraud", "--uri", str(tables), "--with-labels"], env={"COLUMNS": "200"})

    assert "label" in done.stdout
    assert "[red]fraud" in done.stdout


def test_without_labels_it_says_how_to_keep_some(tables: Path) -> None:
    done = CliRunner().invoke(app, ["table", "fraud", "--uri", str(tables), "--with-labels"])

    assert done.exit_code == 2
    assert "headrace labels" in done.output


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("client_request_id,label\norder-1,\n", "a.csv", "entry 1 of"),
        ("id,label\norder-1,good\n", "a.csv", "client_request_id"),
        ("", "a.csv", "holds no label"),
        ("{", "a.jsonl", "cannot be read"),
        ("[]", "a.jsonl", "entry 1 of"),
    ],
)
def test_what_is_no_label_is_refused_and_nothing_is_kept(tables: Path, text: str, name: str, said: str) -> None:
    done = keep(tables, text, name)

    assert done.exit_code == 2
    assert said in done.output
    assert not (tables / "fraud_labels").exists()


def test_duckdb_pandas_and_polars_join_labels_as_the_page_shows(tables: Path) -> None:
    keep(tables, "client_request_id,label\norder-1,good\norder-2,bad\n")
    page = (Path(__file__).parents[2] / "docs" / "inference-tables.md").read_text()
    examples = [part.partition("```")[0] for part in page.split("```python\n")[1:]]
    examples = [code for code in examples if "_labels" in code]

    assert [name for name in ("duckdb", "pandas", "polars") for code in examples if f"import {name}" in code] == [
        "duckdb", "pandas", "polars",
    ]  # fmt: skip
    for code in examples:
        told: dict[str, Any] = {}
        exec(code.replace("s3://lake/inference/fraud", str(tables / "fraud")), told)
        assert told["found"] == {"good": 1, "bad": 1}, code
