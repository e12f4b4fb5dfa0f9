"""Lines from a real Delta table of logs, with the columns that the table writer gives it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from headrace.cli import log_table
from headrace.contract import telemetry
from headrace.contract.errors import InputError, PermanentError

_TYPES = {"string": pa.string(), "integer": pa.int32(), "long": pa.int64(), "date": pa.date32()}


def kind(text: str) -> pa.DataType:
    if not text.startswith("struct<"):
        return {**_TYPES, "timestamp": pa.timestamp("us", tz="UTC")}[text]
    parts = [part.split(":") for part in text[7:-1].split(",")]
    return pa.struct([(name, _TYPES[of]) for name, of in parts])


def write(folder: Path, *rows: dict[str, Any]) -> None:
    schema = pa.schema([(name, kind(text)) for name, text in telemetry.LOG_COLUMNS.items()])
    complete = [{**dict.fromkeys(telemetry.LOG_COLUMNS), **row, "date": row["time"].date()} for row in rows]
    write_deltalake(str(folder), pa.Table.from_pylist(complete, schema=schema), mode="append", partition_by=["date"])


NOW = datetime.now(UTC)
MODEL = {
    "time": NOW - timedelta(seconds=60), "service_name": "model", "severity_text": "ERROR", "body": "it failed",
    "trace_id": "a" * 32,
    "attributes": '{"headrace.request_id":"r1","exception.stacktrace":"ValueError","stream":"stderr"}',
    "resource": {
        "attributes": '{"service.name":"model","headrace.endpoint":"fraud","headrace.version":"v7","k8s.pod.name":"p"}'
    },
}  # fmt: skip
OTHER = {**MODEL, "resource": {"attributes": '{"headrace.endpoint":"fraud-two"}'}}
OLD = {**MODEL, "time": NOW - timedelta(hours=30), "body": "of yesterday"}
PROXY = {
    **MODEL, "time": NOW - timedelta(seconds=90), "service_name": "pop-proxy", "body": "500",
    "severity_text": None, "resource": None,
    "attributes": '{"headrace.endpoint":"fraud","headrace.severity":"WARN","headrace.version":"-","flags":"UH"}',
}  # fmt: skip


def test_lines_of_the_endpoint_have_the_fields_of_those_in_pods(tmp_path: Path) -> None:
    write(tmp_path / telemetry.LOGS, MODEL, OTHER, OLD, PROXY)
    uri = log_table.place(str(tmp_path), Path("/nowhere"))
    proxy, model = log_table.read(uri, "fraud", seconds=3600, options={})
    assert (proxy.fields["component"], proxy.fields["severity_text"]) == ("pop-proxy", "WARN")
    assert "version" not in proxy.fields, "a proxy writes - for what it does not know"
    assert proxy.fields["attributes"] == {"flags": "UH"}
    assert model.document() == {
        "timestamp": f"{(NOW - timedelta(seconds=60)).strftime('%Y-%m-%dT%H:%M:%S.%f')[:-3]}Z",
        "severity_text": "ERROR", "body": "it failed", "component": "model", "endpoint": "fraud", "version": "v7",
        "pod": "p", "request_id": "r1", "trace_id": "a" * 32, "exception": "ValueError",
        "attributes": {"stream": "stderr"},
    }  # fmt: skip
    assert model.belongs_to("r1")
    assert len(log_table.read(uri, "fraud", seconds=2 * 86400, options={})) == 3


def of_controller(service: str, body: str, endpoint: str = "") -> dict[str, Any]:
    named = f',"headrace.endpoint":"{endpoint}"' if endpoint else ""
    resource = f'{{"service.name":"{service}","service.namespace":"headrace","k8s.pod.name":"{service}-a"{named}}}'
    return {
        **MODEL, "service_name": service, "severity_text": "INFO", "body": body, "trace_id": None, "attributes": "{}",
        "resource": {"attributes": resource},
    }  # fmt: skip


def test_lines_of_controllers_are_found_by_what_they_say_or_name_as_in_their_pods(tmp_path: Path) -> None:
    write(
        tmp_path / telemetry.LOGS,
        of_controller("autoscaler", "endpoint-fraud/v7: 3 pods", endpoint="fraud"),
        of_controller("tables", "rows of fraud are not written: the store does not answer"),
        of_controller("tables", "rows of fraud-two are not written"),
        of_controller("rollout", "a rollout of fraud", endpoint="another"),
        of_controller("model", "a model that says fraud is no controller"),
    )
    found = log_table.read(str(tmp_path / telemetry.LOGS), "fraud", seconds=3600, options={})
    assert {(line.fields["component"], line.pod) for line in found} == {
        ("autoscaler", "autoscaler-a"), ("tables", "tables-a"),
    }  # fmt: skip
    assert all(line.is_of("controller") for line in found)


def test_the_table_is_found_where_the_platform_puts_it(tmp_path: Path) -> None:
    assert log_table.place("", tmp_path) == ""
    folder = tmp_path / "telemetry" / telemetry.LOGS
    (folder / "_delta_log").mkdir(parents=True)
    assert log_table.place("", tmp_path) == log_table.place(str(folder), Path()) == str(folder)
    assert log_table.place("s3://lake/t", Path()) == "s3://lake/t/otel_logs"
    assert log_table.place("s3://lake/otel_logs", Path()) == "s3://lake/otel_logs"


def test_no_name_becomes_sql_and_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be the name of an endpoint"):
        log_table.read(str(tmp_path), "x' or 1=1 --", seconds=60, options={})
    with pytest.raises(PermanentError, match="holds no table of logs"):
        log_table.read(str(tmp_path), "fraud", seconds=60, options={})
