"""Traces of both real Envoys: each request's spans, whoever began the trace, and what the Collector's absence costs."""

# mypy: disable-error-code="import-untyped"
# grpcio carries no types.

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from patience import eventually

from headrace.contract import names, telemetry
from headrace.routing.snapshot import Keys, Options, World, build, resources, tracing

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class StandInCollector:
    """Keeps the spans that come: the real one is asked by tests on the cluster (tests/e2e/test_console.py)."""

    def __init__(self, address: str) -> None:
        self._spans: list[tuple[str, Any]] = []
        self._lock = threading.Lock()
        handler = grpc.unary_unary_rpc_method_handler(self._export)
        service = grpc.method_handlers_generic_handler(_EXPORT.split("/")[1], {"Export": handler})
        self._server = grpc.server(ThreadPoolExecutor(2), handlers=[service])
        assert self._server.add_insecure_port(address)
        self._server.start()

    def _export(self, body: bytes, _: Any) -> bytes:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            for resource in request.resource_spans:
                [service] = [
                    one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
                ]
                self._spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return b""

    def spans(self, path: str) -> dict[str, Any]:
        """By service, the spans of requests with that path."""
        with self._lock:
            return {service: span for service, span in self._spans if path in attributes(span).get("http.url", "")}

    def stop(self) -> None:
        self._server.stop(0).wait()


def attributes(span: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


@pytest.fixture
def collector(platform: Any) -> Iterator[StandInCollector]:
    server = StandInCollector(platform.options.collector)
    yield server
    server.stop()


@pytest.fixture
def fraud(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("fraud-v1")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    return server


def test_a_request_has_a_span_of_each_proxy_and_the_pod_is_told_the_last(
    platform: Any, fraud: Any, collector: StandInCollector
) -> None:
    answer = platform.request("/serving-endpoints/fraud/invocations?who=new")
    told = fraud.requests[-1].headers["traceparent"]
    eventually(lambda: len(collector.spans("who=new")) == 2, "both proxies have sent their span", seconds=30)

    pop, balancer = (collector.spans("who=new")[role] for role in (names.POP_PROXY, names.LOAD_BALANCER))
    assert told == f"00-{pop.trace_id.hex()}-{balancer.span_id.hex()}-01"
    assert (pop.parent_span_id, balancer.parent_span_id) == (b"", pop.span_id)
    known = attributes(pop)
    assert known[telemetry.ENDPOINT_ATTRIBUTE] == "fraud"
    assert known[telemetry.REQUEST_ID_ATTRIBUTE] == answer.headers["x-request-id"]
    assert known["http.status_code"] == "200"


@pytest.mark.parametrize("flags", ["01", "00"], ids=["sampled", "not sampled, they say"])
def test_a_callers_trace_is_continued_and_kept_whatever_its_flag_says(
    platform: Any, fraud: Any, collector: StandInCollector, flags: str
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}", "tracestate": "theirs=1"}
    platform.request(f"/serving-endpoints/fraud/invocations?flags={flags}", headers=headers)
    seen = fraud.requests[-1].headers
    eventually(lambda: len(collector.spans(f"flags={flags}")) == 2, "both proxies have sent their span", seconds=30)

    pop = collector.spans(f"flags={flags}")[names.POP_PROXY]
    assert (pop.trace_id.hex(), pop.parent_span_id.hex()) == (TRACE, PARENT)
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", seen["traceparent"])
    assert seen["tracestate"] == "theirs=1"


def test_a_request_id_of_a_pod_is_that_of_the_answer_and_holds_no_decision(platform: Any, fraud: Any) -> None:
    """Without anybody at the Collector's address, as in every other test here."""
    answers = [platform.request("/fraud/invocations") for _ in range(8)]

    assert {answer.status for answer in answers} == {200}
    assert [seen.headers["x-request-id"] for seen in fraud.requests] == [one.headers["x-request-id"] for one in answers]
    assert {one.headers["x-request-id"][14] for one in answers} == {"4"}, (
        "a random UUID's; 9 or a would be Envoy's mark"
    )


def test_pages_and_refusals_that_name_no_endpoint_have_no_spans(
    platform: Any, fraud: Any, collector: StandInCollector
) -> None:
    for path in ("/healthz?quiet", "/console/?quiet", "/nothing?quiet"):
        platform.request(path, method="GET")
    platform.request("/fraud/invocations?loud")
    eventually(lambda: len(collector.spans("?loud")) == 2, "what is traced has come", seconds=30)

    assert [attributes(span)["http.url"] for span in collector.spans("quiet").values()] == []


def test_without_a_collector_nothing_of_it_is_configured() -> None:
    found = build(World(keys=Keys(issuer="", jwks="{}")), Options())

    for role in (names.POP_PROXY, names.LOAD_BALANCER):
        assert tracing.CLUSTER not in found.roles[role][resources.CLUSTER]
        assert all("tracing" not in str(each.body) for each in found.roles[role][resources.LISTENER].values())
