"""The real Collector, as its image holds it, with the platform's configuration: what reaches tables, and MLflow."""

import json
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import mlflow_server
import pytest
from deltalake import DeltaTable
from mlflow import MlflowClient
from patience import eventually, free_port

from headrace.cli import log_table
from headrace.components.platform import collector_config
from headrace.components.platform.collector_config import Backend, tables_backend
from headrace.components.platform.telemetry import backends, checked_telemetry
from headrace.contract import log_export, log_line
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.log_receiver import LogReceiver
from headrace.contract.telemetry import LOGS, SPANS, SPANS_PATH
from headrace.images import collector
from headrace.images.architecture import of_this_machine
from headrace.images.store import Store, cache_directory
from headrace.observability.tables.commits import Commits
from headrace.observability.tables.reception import HttpReception, Reception, TelemetryReception
from headrace.observability.tables.telemetry_tables import TelemetryTables
from tests.observability.otlp_bodies import BEGAN, TRACE, span, spans

pytestmark = pytest.mark.slow  # builds the Collector where the cache has none: three minutes
TOKEN = "the-collectors"


def binary(folder: Path) -> Path:
    """The file of the image's layer, out of the cache."""
    store = Store(cache_directory())
    blob, _ = collector.collector_layer(store, of_this_machine(), log=folder / "build.log")
    with tarfile.open(store.path(blob.digest)) as layer:
        layer.extractall(folder, filter="data")
    return folder / "usr/local/bin/collector"


def require_sender(token: str) -> None:
    if token != TOKEN:
        raise PermanentError("the token is not the Collector's")


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[int]:
    """The table writer's own parts on a port of the loopback, with a table in the test's folder."""
    of = TelemetryTables(str(tmp_path), dict, volume=PurePosixPath(tmp_path))
    commits = Commits(of.table, told=lambda *_: None, interval_seconds=0.1)
    rows: Any = Reception
    server = HttpReception(0, rows, spans=TelemetryReception(require_sender, commits.add))
    commits.start()
    server.start()
    yield server.port
    server.stop()
    commits.stop()


@contextmanager
def collector_of(folder: Path, *backends: Backend) -> Iterator[str]:
    """Address of a Collector with the platform's configuration, but a shorter wait and its pod's files elsewhere."""
    config = collector_config.configuration(backends, spans_per_second=3)
    address, token = f"127.0.0.1:{free_port()}", folder / "token"
    token.write_text(TOKEN)
    config["extensions"]["bearertokenauth"]["filename"] = str(token)
    config["extensions"]["health_check"]["endpoint"] = f"127.0.0.1:{free_port()}"
    config["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": address}}
    config["processors"]["tail_sampling"]["decision_wait"] = "1s"
    config["processors"]["batch"]["timeout"] = "100ms"
    config["service"]["telemetry"]["metrics"] = {"level": "none"}
    file = folder / "collector.json"
    file.write_text(json.dumps(config))
    with (folder / "collector.log").open("wb") as log:
        process = subprocess.Popen([binary(folder), f"--config={file}"], stdout=log, stderr=subprocess.STDOUT)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(10)


def sends(address: str, *found: Any) -> bool:
    body = spans(*found, service_name="fraud")
    request = urllib.request.Request(f"http://{address}{SPANS_PATH}", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def names(folder: Path) -> set[str]:
    """Of the spans in the table."""
    if not (folder / SPANS / "_delta_log").is_dir():
        return set()
    return set(DeltaTable(folder / SPANS).to_pyarrow_table(columns=["name"])["name"].to_pylist())


def test_of_many_traces_the_failed_and_the_slow_ones_are_kept_whole(tmp_path: Path, tables: int) -> None:
    def trace(number: int, name: str, **changed: Any) -> list[dict[str, Any]]:
        ids = {"traceId": f"{number + 1:032x}"}
        return [span(f"{name} model", spanId=f"{2:016x}", **ids), span(name, spanId=f"{1:016x}", **ids, **changed)]

    many = [each for number in range(200) for each in trace(number, "ordinary")]
    failed = trace(900, "failed", status={"code": 2})
    slow = trace(901, "slow", endTimeUnixNano=str(BEGAN + 1_500_000_000))
    wanted = {"failed", "failed model", "slow", "slow model"}
    with collector_of(tmp_path, tables_backend(f"127.0.0.1:{tables}")) as otlp:
        eventually(lambda: sends(otlp, *many, *failed, *slow), "the Collector takes spans", seconds=30)
        eventually(lambda: names(tmp_path) >= wanted, "they are in the table", seconds=30)

    found = DeltaTable(tmp_path / SPANS).to_pyarrow_table(columns=["name"])["name"].to_pylist()
    assert {name: found.count(name) for name in wanted} == dict.fromkeys(wanted, 1)
    assert 0 < found.count("ordinary") < 20, "of the others as many as a second may have"


def test_a_line_that_a_sidecar_sends_is_read_back_from_the_table_of_logs(tmp_path: Path, tables: int) -> None:
    fields: dict[str, Any] = {
        log_line.COMPONENT: log_line.MODEL, log_line.ENDPOINT: "fraud", log_line.VERSION: "v7", log_line.POD: "v7-abc",
        log_line.REQUEST_ID: "a-request", log_line.SCOPE: "model", log_line.TRACE_ID: TRACE,
        log_line.EXCEPTION: "Traceback\nno such table", log_line.ATTRIBUTES: {"stream": "stderr", "worker": 0},
    }  # fmt: skip
    written = log_line.line(time.time(), "ERROR", 'no \u2028 "table" 😀', fields)
    sent = log_export.export([written.encode()]).body
    with collector_of(tmp_path, tables_backend(f"127.0.0.1:{tables}")) as otlp:
        eventually(lambda: taken(otlp, sent), "the Collector takes the line", seconds=30)
        folder = tmp_path / LOGS
        eventually((folder / "_delta_log").is_dir, "it is in the table", seconds=30)

        [found] = eventually(
            lambda: log_table.read(str(folder), "fraud", seconds=600, options={}), "it is read back", seconds=30
        )

    assert found.fields == json.loads(written)


def taken(address: str, body: bytes) -> bool:
    try:
        return LogReceiver(address).send(body) == 0
    except TemporaryError:
        return False


def test_mlflow_shows_the_trace_by_the_id_that_the_row_has(tmp_path: Path) -> None:
    made = [
        span("POST fraud", spanId="01" * 8),
        span("request", spanId="02" * 8, parentSpanId="01" * 8),
        span("plan", spanId="03" * 8, parentSpanId="02" * 8),
    ]  # fmt: skip
    telemetry = checked_telemetry({})
    with mlflow_server.running(tmp_path) as uri:
        [backend] = backends(replace(telemetry, mlflow_uri=uri), folder=None)
        with collector_of(tmp_path, backend) as otlp:
            eventually(lambda: sends(otlp, *made), "the Collector takes spans", seconds=30)
            client = MlflowClient(uri)
            found = eventually(lambda: client.search_traces(experiment_ids=["0"]), "MLflow has the trace", seconds=60)

    [trace] = found
    assert trace.info.trace_id == f"tr-{TRACE}"
    assert sorted(each.name for each in trace.data.spans) == ["POST fraud", "plan", "request"]
