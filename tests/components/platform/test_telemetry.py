"""Where spans and logs go: what is wrong with inputs, and what follows from them."""

from typing import Any

import pytest

from headrace.components.platform.telemetry import (
    backends,
    checked_telemetry,
    ports,
    tables_folder,
    telemetry_faults,
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"otlp": "x"}, "telemetry.otlp"),
        ({"otlp_endpoint": "collector:4317"}, "telemetry.otlp_endpoint = 'collector:4317'"),
        ({"mlflow_uri": "databricks"}, "telemetry.mlflow_uri = 'databricks'"),
        ({"tables_uri": "/var/lib"}, "telemetry.tables_uri = '/var/lib', must be"),
        ({"tables_uri": "/tables/../etc"}, "telemetry.tables_uri"),
        ({"otlp_endpoint": "https://x", "otlp_headers": {"a": "b"}}, "set headers_secret"),
        ({"headers_secret": "s", "otlp_headers": {"a": "b"}}, "set otlp_endpoint"),
        ({"spans_per_second": 0}, "telemetry.spans_per_second"),
    ],
)
def test_an_input_that_is_wrong_is_told(given: Any, said: str) -> None:
    assert said in "; ".join(telemetry_faults(given, has_tables=True))


def test_tables_need_a_platform_that_writes_them() -> None:
    [fault] = telemetry_faults({"tables_uri": "s3://lake/otel"}, has_tables=False)

    assert fault.endswith("set inference_tables too")


@pytest.mark.parametrize(
    ("given", "tables", "folder"),
    [
        ({}, None, None),
        ({}, {"store_ports": [443]}, None),
        ({}, {"volume_gib": 1}, "/tables"),
        ({"tables_uri": "s3://lake/otel"}, {"store_ports": [443]}, "s3://lake/otel"),
    ],
)
def test_tables_of_spans_are_where_rows_may_be(given: Any, tables: Any, folder: str | None) -> None:
    found = tables_folder(checked_telemetry(given), tables)

    assert found == folder
    assert [each.name for each in backends(checked_telemetry(given), folder=folder)] == (["tables"] if folder else [])


def test_the_ports_of_backends_are_those_of_their_addresses() -> None:
    known = checked_telemetry({"otlp_endpoint": "https://otlp.example", "mlflow_uri": "http://mlflow:5000"})

    assert ports(known) == [443, 5000]
