"""Traces of both real Envoys: each request's spans, whoever began the trace, and what the Collector's absence costs."""

import re
from typing import Any

import pytest
from patience import eventually
from stand_in_collector import StandInCollector, attributes

from headrace.contract import names, telemetry, trace_context
from headrace.routing.snapshot import Keys, Options, World, build, resources, tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FORCED = {telemetry.FORCE_HEADER: "please"}


@pytest.fixture
def fraud(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("fraud-v1")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    return server


def test_a_sampled_request_has_a_span_of_each_proxy_and_the_pod_is_told_the_last(
    platform: Any, fraud: Any, collector: StandInCollector
) -> None:
    answer = platform.request("/serving-endpoints/fraud/invocations?who=new", headers=FORCED)
    told = fraud.requests[-1].headers["traceparent"]
    eventually(lambda: len(collector.spans("who=new")) == 2, "both proxies have sent their span", seconds=30)

    pop, balancer = (collector.spans("who=new")[role] for role in (names.POP_PROXY, names.LOAD_BALANCER))
    assert told == f"00-{pop.trace_id.hex()}-{balancer.span_id.hex()}-01"
    assert (pop.parent_span_id, balancer.parent_span_id) == (b"", pop.span_id)
    known = attributes(pop)
    assert known[telemetry.ENDPOINT_ATTRIBUTE] == "fraud"
    assert known[telemetry.REQUEST_ID_ATTRIBUTE] == answer.headers["x-request-id"]
    assert known["http.status_code"] == "200"


@pytest.mark.parametrize("headers", [{}, {"traceparent": f"00-{TRACE}-{PARENT}-01"}], ids=["new", "the caller's"])
def test_one_request_in_ten_is_sampled_unless_its_caller_asks_for_it(
    platform: Any, fraud: Any, headers: dict[str, str]
) -> None:
    for _ in range(300):
        platform.request("/fraud/invocations", headers=headers)
    told = [trace_context.read(seen.headers["traceparent"]) for seen in fraud.requests]

    assert len({context.trace_id for context in told}) == (1 if headers else 300)
    sampled = sum(context.is_sampled for context in told)
    assert 3 < sampled < 75, "of 300; one in ten falls outside of it once in ten million runs"


def test_a_caller_s_trace_is_continued(platform: Any, fraud: Any, collector: StandInCollector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "theirs=1", **FORCED}
    platform.request("/serving-endpoints/fraud/invocations?who=sampled", headers=headers)
    seen = fraud.requests[-1].headers
    eventually(lambda: len(collector.spans("who=sampled")) == 2, "both proxies have sent their span", seconds=30)

    pop = collector.spans("who=sampled")[names.POP_PROXY]
    assert (pop.trace_id.hex(), pop.parent_span_id.hex()) == (TRACE, PARENT)
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", seen["traceparent"])
    assert seen["tracestate"] == "theirs=1"


def test_a_caller_s_trace_that_is_not_sampled_goes_on_to_the_pod_and_costs_no_span(
    platform: Any, fraud: Any, collector: StandInCollector
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    platform.request("/serving-endpoints/fraud/invocations?who=quiet", headers=headers)
    seen = fraud.requests[-1].headers["traceparent"]
    platform.request("/fraud/invocations?who=loud", headers=FORCED)
    eventually(lambda: len(collector.spans("who=loud")) == 2, "what is sampled later has come", seconds=30)

    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00", seen)
    assert collector.spans("who=quiet") == {}


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
    platform.request("/fraud/invocations?loud", headers=FORCED)
    eventually(lambda: len(collector.spans("?loud")) == 2, "what is traced has come", seconds=30)

    assert [attributes(span)["http.url"] for span in collector.spans("quiet").values()] == []


def test_without_a_collector_nothing_of_it_is_configured() -> None:
    found = build(World(keys=Keys(issuer="", jwks="{}")), Options())

    for role in (names.POP_PROXY, names.LOAD_BALANCER):
        assert tracing.CLUSTER not in found.roles[role][resources.CLUSTER]
        assert all("tracing" not in str(each.body) for each in found.roles[role][resources.LISTENER].values())
