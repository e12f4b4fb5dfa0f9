"""TableQuery: SQL of an agent, in a process of its own."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from headrace.cli.agent import table_process, table_query
from headrace.cli.agent.table_query import TableQuery
from headrace.cli.agent.untrusted import TEXT_MOST
from headrace.contract.errors import PermanentError
from headrace.observability.tables.delta import InferenceDeltaTable
from tests.observability.table_rows import batch

SINCE = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Six requests of alice, of which two were refused, and one of bob."""
    folder = tmp_path_factory.mktemp("tables")
    of = InferenceDeltaTable(str(folder / "fraud"), {}, volume=PurePosixPath(folder))
    of.append([batch(1, 4), batch(5, 6, "pod-2", status_code=429, response='{"error": "busy"}', trace_id="t" * 32)])
    of.append([batch(7, 7, "pod-3", requester="bob", execution_duration_ms=900, response="x" * 9_000)])
    return str(folder / "fraud")


def answered(uri: str, sql: str, requester: str = "") -> list[list[object]]:
    """Rows, as the process finds them."""
    rows: list[list[object]] = table_process.answered(TableQuery(uri=uri, sql=sql, requester=requester))["rows"]
    return rows


@pytest.mark.parametrize(
    "sql",
    [
        "copy rows to '/tmp/stolen.csv'",
        "attach '/tmp/other.db' as other",
        "pragma database_list",
        "set enable_external_access = true",
        "install httpfs",
        "load httpfs",
        "create table copied as select * from rows",
        "insert into rows select * from rows",
        "export database '/tmp/stolen'",
        "call pragma_version()",
        "explain analyze select 1",
        "select 1; select 2",
        "select 1; copy rows to '/tmp/stolen.csv'",
        "",
        "-- nothing",
        "selec 1",
    ],
)
def test_what_is_not_one_select_is_refused_before_it_runs(uri: str, sql: str) -> None:
    with pytest.raises(PermanentError, match=r"must be one SELECT|cannot be read"):
        answered(uri, sql)
    assert not Path("/tmp/stolen.csv").exists()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select * from read_csv('/etc/hostname')", "disabled by configuration"),
        ("select * from read_text('/etc/hostname')", "disabled by configuration"),
        ("select * from read_blob('/etc/hostname')", "disabled by configuration"),
        ("select * from glob('/etc/*')", "disabled by configuration"),
        ("select * from read_parquet('http://127.0.0.1:9/x')", "disabled by configuration"),
        ("select * from read_parquet('s3://bucket/x')", "disabled by configuration"),
        ("select * from '/etc/hostname'", "does not exist"),
        ("select * from _SETTINGS", "does not exist"),
        ("select getenv('PATH')", "does not exist"),
        ("select * from query('copy rows to ''/tmp/stolen.csv''')", "SELECT"),
        ("with gone as (delete from rows returning *) select * from gone", "."),
    ],
)
def test_a_select_reads_no_file_and_no_address(uri: str, sql: str, said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        answered(uri, sql)
    assert not Path("/tmp/stolen.csv").exists()


def test_rows_of_one_caller_are_all_that_is_there(uri: str) -> None:
    assert answered(uri, "select requester, count(*) from rows group by all order by 1") == [["alice", 6], ["bob", 1]]
    assert answered(uri, "select requester, count(*) from rows group by all", requester="bob") == [["bob", 1]]
    assert answered(uri, "select count(*) from rows where requester <> 'bob'", requester="bob") == [[0]]
    assert answered(uri, "select table_name from information_schema.tables", requester="bob") == [["rows"]]


def test_errors_are_counted_by_kind(uri: str) -> None:
    found = table_process.answered(TableQuery(uri=uri, sql=table_query.errors_sql(SINCE)))
    (row,) = [dict(zip(found["columns"], values, strict=True)) for values in found["rows"]]
    assert (row["status_code"], row["version"], row["path"], row["requests"]) == (429, "v7", "/invocations", 2)
    assert (row["last_request_id"], row["last_trace_id"]) == ("pod-2-6", "t" * 32)
    assert row["last_response"] == '{"error": "busy"}'
    assert answered(uri, table_query.errors_sql(SINCE + timedelta(days=7))) == []


def test_slow_requests_come_with_their_ids(uri: str) -> None:
    found = table_process.answered(TableQuery(uri=uri, sql=table_query.slow_sql(SINCE, 2)))
    first, second = [dict(zip(found["columns"], values, strict=True)) for values in found["rows"]]
    assert (first["execution_duration_ms"], first["request_id"]) == (900, "pod-3-7")
    assert (second["execution_duration_ms"], second["trace_id"]) == (12, "t" * 32)


def test_answers_are_cut_in_rows_and_in_characters(uri: str) -> None:
    many = table_process.answered(TableQuery(uri=uri, sql="select * from range(100000)"))
    assert (len(many["rows"]), many["truncated"]) == (table_query.ROWS_MOST, True)
    long = table_process.answered(TableQuery(uri=uri, sql="select response from rows where requester = 'bob'"))
    assert long["rows"] == [["x" * TEXT_MOST + f"… ({9_000 - TEXT_MOST} characters more)"]]
    columns = ", ".join(["repeat(1::varchar, 2000)"] * 40)
    wide = table_process.answered(TableQuery(uri=uri, sql=f"select {columns} from range(9)"))
    assert len(json.dumps(wide)) < table_query.CHARACTERS_MOST + 1_000
    assert wide["truncated"]


def test_what_json_does_not_know_is_text(uri: str) -> None:
    (row,) = answered(
        uri,
        "select request_date, request_time, 'nan'::double, 1.5::decimal(4, 2), [1, 2], {'a': request_date} "
        "from rows where sequence = 1",
    )
    assert row == ["2026-11-30", row[1], "nan", "1.50", "[1, 2]", '{"a": "2026-11-30"}']
    assert str(row[1]).startswith("2026-11-30 ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from range(900000) a, range(900000) b where a.range * b.range % 7 = 3",
        "select sum(length(repeat('x', 1000000000)))",
        "select list_sum(range(1000000000))",
    ],
)
def test_a_bomb_ends_in_seconds(uri: str, sql: str) -> None:
    begun = time.monotonic()
    with pytest.raises(PermanentError, match=r"longer than 4 s and was stopped|more than \d+ MiB of memory"):
        TableQuery(uri=uri, sql=sql).run(seconds=4)
    assert time.monotonic() - begun < 7


def test_a_table_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="holds no table yet"):
        answered(str(tmp_path / "nobody"), "select 1")
