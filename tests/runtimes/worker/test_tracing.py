"""A model's own spans: real MLflow in a process of its own, which exports them below the span of the model's call."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headrace.runtimes.worker import tracing

TRACE, CALL = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
MODEL = f"""
import importlib, sys
tracing = importlib.import_module("headrace.runtimes.worker.tracing")
assert tracing.prepare()
import mlflow
for number in range(2):
    with tracing.continued("00-{TRACE}-{CALL}-01" if number else None):
        with mlflow.start_span("plan") as span:
            with mlflow.start_span("tool"):
                pass
import mlflow.tracing.provider as provider
mlflow.flush_trace_async_logging()
provider.provider.get().force_flush()
"""


def test_nothing_is_prepared_where_nobody_takes_spans_or_nothing_sends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"HEADRACE_COLLECTOR": "10.0.0.9:4318", "HEADRACE_ENDPOINT": "fraud", "HEADRACE_VERSION": "v7"}
    empty: dict[str, str] = {}
    assert not tracing.prepare(empty)
    monkeypatch.setattr(tracing, "_EXPORTERS", (("grpc", "opentelemetry.absent.exporter", ""),))
    without = dict(known)
    assert not tracing.prepare(without)
    assert (empty, without) == ({}, known)


def test_what_the_deployer_set_stays() -> None:
    own = {"HEADRACE_COLLECTOR": "10.0.0.9:4318", tracing.ENDPOINT: "https://mine:4318/v1/traces"}

    assert tracing.prepare(own)
    assert own[tracing.ENDPOINT] == "https://mine:4318/v1/traces"
    assert len(own) == 2


def test_a_model_without_mlflow_is_called_as_ever() -> None:
    with tracing.continued(None):
        pass


@pytest.mark.slow
def test_mlflow_s_spans_are_below_the_call_s_span() -> None:
    grpc = pytest.importorskip("grpc")
    messages = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    spans: list[Any] = []
    came = threading.Event()

    def export(body: bytes, _: Any) -> bytes:
        for resource in messages.ExportTraceServiceRequest.FromString(body).resource_spans:
            origin = {one.key: one.value.string_value for one in resource.resource.attributes}
            spans.extend((origin, span) for scope in resource.scope_spans for span in scope.spans)
        came.set()
        return b""

    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    handler = grpc.unary_unary_rpc_method_handler(export)
    server = grpc.server(
        ThreadPoolExecutor(1), handlers=[grpc.method_handlers_generic_handler(service, {"Export": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    model = MODEL.replace("assert tracing.prepare()", f"tracing._EXPORTERS = {EXPORTERS!r}\nassert tracing.prepare()")
    variables = {"HEADRACE_COLLECTOR": f"127.0.0.1:{port}", "HEADRACE_ENDPOINT": "fraud", "PATH": "/usr/bin:/bin"}
    model = model.replace("PLACE", str(port))
    command = [sys.executable, "-c", model]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    came.wait(30)
    server.stop(0).wait()

    assert spans, done.stderr + done.stdout
    joined = {span.name: span for _, span in spans if span.trace_id.hex() == TRACE}
    assert joined["plan"].parent_span_id.hex() == CALL
    assert joined["tool"].parent_span_id == joined["plan"].span_id
    assert {origin["headrace.endpoint"] for origin, _ in spans} == {"fraud"}
    assert len(spans) == 4, "a call without a trace has one of its own"


EXPORTERS = (("grpc", "opentelemetry.exporter.otlp.proto.grpc", "http://127.0.0.1:PLACE"),)
"""Of the test's environment; its port is the stand-in's."""
