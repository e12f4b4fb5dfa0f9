"""The line of a proxy is a line as all others; that Envoy writes it is told in test_data_plane.py and test_grpc.py."""

import json

from headrace.contract import log_line, names
from headrace.routing.snapshot.access_log import access_log, line


def test_it_has_the_fields_of_every_line() -> None:
    assert set(line(names.POP_PROXY)) <= set(log_line.FIELDS)


def test_no_header_that_holds_a_secret_is_in_it_and_no_query() -> None:
    text = json.dumps(line(names.POP_PROXY)).lower()
    for secret in ("authorization", "cookie", "query", "req(:path)"):
        assert secret not in text


def test_refused_and_slow_requests_have_a_line_and_no_others() -> None:
    status, grpc, slow = access_log(names.LOAD_BALANCER)["filter"]["or_filter"]["filters"]
    assert status["status_code_filter"]["comparison"]["value"]["default_value"] == 400
    assert grpc["and_filter"]["filters"][1] == {"grpc_status_filter": {"statuses": ["OK"], "exclude": True}}
    assert slow["duration_filter"]["comparison"] == {
        "op": "GE",
        "value": {"default_value": 10_000, "runtime_key": "headrace.log_from_milliseconds"},
    }
