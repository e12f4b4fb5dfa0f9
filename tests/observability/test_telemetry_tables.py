"""Tables of spans and logs: real Delta tables, with the schema of the contract."""

from pathlib import Path, PurePosixPath

import pytest
from deltalake import DeltaTable

from headrace.contract.telemetry import LOG_COLUMNS, LOGS, SPAN_COLUMNS, SPANS
from headrace.observability.tables import otlp
from headrace.observability.tables.delta import TableUnusable
from headrace.observability.tables.telemetry_tables import TelemetryTables
from tests.observability.otlp_bodies import logs, span, spans


def tables(folder: Path, now: float = 0.0) -> TelemetryTables:
    return TelemetryTables(str(folder), dict, volume=PurePosixPath(folder), clock=lambda: now)


def test_spans_and_logs_have_tables_of_their_own_side_by_side(tmp_path: Path) -> None:
    of = tables(tmp_path)
    sent = otlp.read(spans(span("a"), span("b", spanId="ef" * 8), service_name="fraud"), SPAN_COLUMNS)

    assert of.table(SPANS).append([sent, sent]) == 4
    assert of.table(SPANS).append([sent]) == 2
    assert of.table(LOGS).append([otlp.read(logs({"body": {"stringValue": "x"}}), LOG_COLUMNS)]) == 1
    found = DeltaTable(tmp_path / SPANS)
    assert [field.name for field in found.schema().fields] == list(SPAN_COLUMNS)
    assert found.metadata().partition_columns == ["date"]
    assert found.version() == 2, "one commit for all that waited"


def test_a_folder_outside_of_the_volume_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableUnusable, match="must be a store's address or a path below"):
        TelemetryTables("/etc", dict, volume=PurePosixPath(tmp_path)).table(SPANS)


def test_small_files_are_joined_once_an_hour(tmp_path: Path) -> None:
    now = 0.0
    of = TelemetryTables(str(tmp_path), dict, volume=PurePosixPath(tmp_path), clock=lambda: now)
    for number in range(3):
        of.table(SPANS).append([otlp.read(spans(span(spanId=f"{number:016x}")), SPAN_COLUMNS)])
    of.maintain()
    assert len(DeltaTable(tmp_path / SPANS).file_uris()) == 3
    now = 3600.0
    of.maintain()
    assert len(DeltaTable(tmp_path / SPANS).file_uris()) == 1
