"""The line of a proxy is a line as all others; that Envoy prints it is told in test_data_plane.py and test_grpc.py."""

import json
from typing import Any

from patience import eventually
from stand_in_collector import StandInCollector, attributes

from headrace.contract import log_line, names, telemetry
from headrace.routing.snapshot import Options
from headrace.routing.snapshot.access_log import access_log, line


def test_it_has_the_fields_of_every_line() -> None:
    assert set(line(names.POP_PROXY)) <= set(log_line.FIELDS)


def test_no_header_that_holds_a_secret_is_in_it_and_no_query() -> None:
    text = json.dumps(line(names.POP_PROXY)).lower()
    for secret in ("authorization", "cookie", "query", "req(:path)"):
        assert secret not in text


def test_refused_and_slow_requests_have_a_line_and_no_others() -> None:
    [logger] = access_log(names.LOAD_BALANCER, Options())
    status, grpc, slow = logger["filter"]["or_filter"]["filters"]
    assert status["status_code_filter"]["comparison"]["value"]["default_value"] == 400
    assert grpc["and_filter"]["filters"][1] == {"grpc_status_filter": {"statuses": ["OK"], "exclude": True}}
    assert slow["duration_filter"]["comparison"] == {
        "op": "GE",
        "value": {"default_value": 10_000, "runtime_key": "headrace.log_from_milliseconds"},
    }


def test_the_collector_gets_the_lines_of_both_proxies_and_their_trace(
    platform: Any, make_endpoint: Any, collector: StandInCollector
) -> None:
    """With the real Envoys; no pod serves, so that the answer is the proxies' own."""
    platform.publish(make_endpoint("fraud"), pods={})
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-00"}
    answer = platform.request("/fraud/invocations?secret=1", headers=headers)
    request_id = answer.headers["x-request-id"]

    eventually(lambda: len(collector.lines(request_id)) == 2, "both proxies have sent their line", seconds=30)
    assert answer.status == 503
    found = collector.lines(request_id)
    for role in (names.POP_PROXY, names.LOAD_BALANCER):
        said = attributes(found[role])
        assert found[role].trace_id.hex() == trace, "a trace that is not sampled can be followed by its lines"
        assert found[role].time_unix_nano > 1_700_000_000 * 10**9
        assert (said[telemetry.ENDPOINT_ATTRIBUTE], said[telemetry.SEVERITY_ATTRIBUTE]) == ("fraud", "WARN")
        assert said["http.response.status_code"] == "503"
        assert said[telemetry.POD_ATTRIBUTE] not in ("", "-")
        assert "secret" not in str(found[role])
    assert attributes(found[names.POP_PROXY])["url.path"] == "/fraud/invocations"
