"""Tables of spans and logs: columns by the names that Databricks gives them."""

from headrace.contract import telemetry


def test_columns_begin_as_databricks_has_them() -> None:
    begin = ["record_id", "time", "date", "service_name"]

    assert list(telemetry.SPAN_COLUMNS)[:4] == list(telemetry.LOG_COLUMNS)[:4] == begin
    assert telemetry.SPAN_COLUMNS["start_time_unix_nano"] == "long"
    assert telemetry.DATE in telemetry.SPAN_COLUMNS.keys() & telemetry.LOG_COLUMNS.keys()


def test_a_path_names_endpoint_and_trace() -> None:
    assert telemetry.trace_path("fraud", "ab") == "/traces/fraud/ab"
