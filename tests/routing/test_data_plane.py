"""Requests through both real Envoys, configured by the real ADS server."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from patience import eventually

from headrace.contract import log_line

PATHS = ("/serving-endpoints/fraud/invocations", "/fraud/invocations", "/fraud/invocations/")


@pytest.fixture
def fraud(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("fraud-v1")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    return server


@pytest.mark.parametrize("path", PATHS)
def test_a_prediction_comes_back_from_the_pod(platform: Any, fraud: Any, path: str) -> None:
    answer = platform.request(path)
    assert (answer.status, answer.json()) == (200, {"predictions": ["fraud-v1"]})
    assert answer.headers["served-model-name"] == "v1"
    assert answer.headers["x-request-id"]
    seen = fraud.requests[-1]
    assert (seen.path, seen.body) == (path[path.index("/invocations") :], b'{"inputs": [1]}')
    assert (seen.headers["x-headrace-endpoint"], seen.headers["x-headrace-subject"]) == ("fraud", "alice")
    assert "authorization" not in seen.headers


def test_names_that_begin_alike_are_told_apart(platform: Any, make_endpoint: Any) -> None:
    names = ("a", "a-b", "a-b-c", "serving-endpoints", "v1", "invocations")
    pods = {(name, "v1"): (platform.server(name),) for name in names}
    platform.publish(*(make_endpoint(name) for name in names), pods=pods)
    for name in names:
        for path in (f"/serving-endpoints/{name}/invocations", f"/{name}/invocations"):
            assert platform.request(path).json() == {"predictions": [name]}


def test_a_path_is_read_whole_before_any_of_it_is_a_name(platform: Any, make_endpoint: Any) -> None:
    names = ("serving-endpoints", "v1", "served-models", "invocations")
    servers = {name: platform.server(name) for name in names}
    platform.publish(*map(make_endpoint, names), pods={(name, "v1"): (server,) for name, server in servers.items()})

    def reached(path: str) -> tuple[int, dict[str, str]]:
        for server in servers.values():
            server.requests.clear()
        status = platform.request(path).status
        return status, {name: seen.path for name, server in servers.items() for seen in server.requests}

    assert reached("/serving-endpoints/v1/models") == (200, {"serving-endpoints": "/v1/models"})
    assert reached("/serving-endpoints/v1/v1/models") == (200, {"v1": "/v1/models"})
    assert reached("/serving-endpoints/served-models/v1") == (200, {"served-models": "/v1"})
    assert reached("/serving-endpoints/invocations") == (200, {"serving-endpoints": "/invocations"})
    assert reached("/v1/served-models/v1/metrics") == (404, {})
    assert reached("/serving-endpoints/served-models/v1/metrics") == (200, {"served-models": "/v1/metrics"})
    platform.publish(make_endpoint("v1"), pods={("v1", "v1"): (servers["v1"],)})
    assert reached("/serving-endpoints/v1/metrics") == (404, {})
    assert reached("/v1/metrics") == (404, {})
    assert reached("/v1/v1/models") == (200, {"v1": "/v1/models"})


def test_weights_split_the_traffic(platform: Any, make_endpoint: Any, make_version: Any) -> None:
    one, two = platform.server("one"), platform.server("two")
    split = make_endpoint("fraud", make_version("v1", 75), make_version("v2", 25))
    platform.publish(split, pods={("fraud", "v1"): (one,), ("fraud", "v2"): (two,)})
    served = Counter(platform.request("/fraud/invocations").headers["served-model-name"] for _ in range(100))
    assert set(served) == {"v1", "v2"}
    assert 4 <= served["v2"] <= 46, "a quarter of 100, within five standard deviations"


def test_no_token_is_401(platform: Any, fraud: Any) -> None:
    answer = platform.request("/fraud/invocations", token="")
    assert (answer.status, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert not fraud.requests


def test_a_refusal_is_logged_with_the_path_that_was_asked_for_and_without_its_query(platform: Any, fraud: Any) -> None:
    fraud.status = 418
    answer = platform.request("/serving-endpoints/fraud/invocations?key=secret")
    identity = answer.headers["x-request-id"]
    for envoy, component in ((platform.pop, "pop-proxy"), (platform.balancer, "load-balancer")):
        eventually(lambda envoy=envoy: identity in envoy.log.read_text(), "logged")
        text = next(line for line in envoy.log.read_text().splitlines() if identity in line)
        line = json.loads(text)
        assert set(line) <= set(log_line.FIELDS)
        assert line["body"].startswith("POST /serving-endpoints/fraud/invocations: 418 after ")
        assert (line["request_id"], line["endpoint"], line["component"]) == (identity, "fraud", component)
        assert line["attributes"]["http.response.status_code"] == 418
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
        assert "secret" not in text


def test_unknown_endpoint_is_404(platform: Any, fraud: Any) -> None:
    answer = platform.request("/absent/invocations")
    assert (answer.status, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
