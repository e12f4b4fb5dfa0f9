"""Telemetry: where a platform's spans and logs go, as inputs and rules; and the Collector's backends that follow."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NotRequired, TypedDict
from urllib.parse import urlsplit

from headrace.components.kubernetes import checks
from headrace.components.kubernetes.checks import DNS_SUBDOMAIN
from headrace.components.kubernetes.manifests import Manifest
from headrace.components.platform.collector_config import SPANS_PER_SECOND, Backend, tables_backend
from headrace.components.platform.platform_program import address
from headrace.contract import names
from headrace.contract.codec import read
from headrace.contract.declaration import Bounds, NotEmpty, Text

VOLUME_FOLDER: Final = "/tables"
"""Where the tables of spans and logs are without another address: on the table writer's volume."""
_SCHEMES: Final = ("s3://", "s3a://", "gs://", "az://", "azure://", "adl://", "abfs://", "abfss://", "/tables")
_EXPERIMENT: Final = "x-mlflow-experiment-id"
"""Header by which MLflow knows the experiment that a trace belongs to."""
SecretName = Annotated[str, Text(pattern=DNS_SUBDOMAIN.pattern, meaning="a name")]


class Telemetry(TypedDict):
    """Where spans of requests, and logs, go. None is required."""

    tables_uri: NotRequired[str]
    """Folder of the Delta tables otel_spans and otel_logs: s3://…, gs://…, abfss://… or, on the table writer's volume,
    /tables. Absent: /tables where `inference_tables` has a volume, else no such tables are written."""
    otlp_endpoint: NotRequired[str]
    """Base address of a backend, or of a Collector of yours, that takes OTLP over HTTP, for example
    https://otlp.example.com:4318. Absent: none."""
    otlp_headers: NotRequired[dict[str, str]]
    """Headers that the backend asks for, such as authorization, in lower case: for each the key in `headers_secret`."""
    headers_secret: NotRequired[str]
    """Secret in headrace-system with the values of `otlp_headers`."""
    mlflow_uri: NotRequired[str]
    """MLflow tracking server that shows the traces, for example http://mlflow.mlflow:5000. Absent: none."""
    mlflow_experiment_id: NotRequired[str]
    """Experiment of that server that they are put in. Default 0, which every server has."""
    spans_per_second: NotRequired[int]
    """Spans that are kept of traces which are neither slow nor failed; those are kept always. Default 500."""


@dataclass(frozen=True, kw_only=True)
class CheckedTelemetry:
    """Telemetry, checked."""

    tables_uri: NotEmpty | None = None
    otlp_endpoint: NotEmpty | None = None
    otlp_headers: Mapping[NotEmpty, NotEmpty] | None = None
    headers_secret: SecretName | None = None
    mlflow_uri: NotEmpty | None = None
    mlflow_experiment_id: NotEmpty = "0"
    spans_per_second: Annotated[int, Bounds(minimum=1)] = SPANS_PER_SECOND


def telemetry_faults(given: object, *, has_tables: bool) -> Iterator[str]:
    """All that is wrong with Telemetry on a platform that `has_tables` or has none."""
    checked, faults = read(CheckedTelemetry, given)
    yield from (f"telemetry.{fault}" for fault in faults)
    if checked is None:
        return
    for name in ("otlp_endpoint", "mlflow_uri"):
        if (url := getattr(checked, name)) is not None:
            yield from checks.web_address(f"telemetry.{name}", url)
    if checked.tables_uri is not None:
        if not checked.tables_uri.startswith(_SCHEMES) or ".." in checked.tables_uri.split("/"):
            yield (
                f"telemetry.tables_uri = {checked.tables_uri!r}, must be a store's address such as s3://bucket/otel, "
                "or a folder such as /tables"
            )
        if not has_tables:
            yield "telemetry.tables_uri needs a platform that writes tables; set inference_tables too"
    if checked.otlp_headers and checked.headers_secret is None:
        yield "telemetry.otlp_headers needs the Secret with their values; set headers_secret"
    if checked.otlp_headers and checked.otlp_endpoint is None:
        yield "telemetry.otlp_headers is for otlp_endpoint only; remove it or set otlp_endpoint"


def checked_telemetry(given: Mapping[str, Any]) -> CheckedTelemetry:
    """Telemetry without faults, with its defaults."""
    checked, _ = read(CheckedTelemetry, given)
    assert checked is not None  # what has no fault can be read
    return checked


def tables_folder(telemetry: CheckedTelemetry, tables: Mapping[str, Any] | None) -> str | None:
    """The folder of the tables of spans and logs, with these InferenceTables; None where none are written."""
    if tables is None:
        return None
    return telemetry.tables_uri or (VOLUME_FOLDER if tables.get("volume_gib") is not None else None)


def backends(telemetry: CheckedTelemetry, *, folder: str | None) -> list[Backend]:
    """Where the Collector sends to; empty where nobody would read it, and no Collector is needed."""
    found = [] if folder is None else [tables_backend(address(names.TABLES, names.TABLES_PORT))]
    if telemetry.otlp_endpoint is not None:
        headers = {name: f"${{env:{variable}}}" for name, (variable, _) in _variables(telemetry).items()}
        found.append(Backend(name="backend", endpoint=telemetry.otlp_endpoint.rstrip("/"), headers=headers))
    if telemetry.mlflow_uri is not None:
        experiment = {_EXPERIMENT: telemetry.mlflow_experiment_id}
        mlflow = Backend(name="mlflow", endpoint=telemetry.mlflow_uri.rstrip("/"), headers=experiment, takes_logs=False)
        found.append(mlflow)
    return found


def secret_variables(telemetry: CheckedTelemetry) -> list[Manifest]:
    """Entries of the Collector's `env` with the values of headers."""
    return [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": telemetry.headers_secret, "key": key}}}
        for variable, key in _variables(telemetry).values()
    ]


def ports(telemetry: CheckedTelemetry) -> list[int]:
    """Of the user's backends, which may be at any address."""
    urls = [url for url in (telemetry.otlp_endpoint, telemetry.mlflow_uri) if url is not None]
    return sorted({urlsplit(url).port or {"http": 80, "https": 443}[urlsplit(url).scheme] for url in urls})


def _variables(telemetry: CheckedTelemetry) -> dict[str, tuple[str, str]]:
    """By header, the variable of its value and the key in the Secret."""
    given = sorted((telemetry.otlp_headers or {}).items())
    return {name.lower(): (f"OTLP_HEADER_{number}", key) for number, (name, key) in enumerate(given)}
