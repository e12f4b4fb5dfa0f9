"""How the LoadBalancer chooses pods, and what it does about pods that fail, with real requests."""

import re
from collections import Counter
from typing import Any

import pytest
from patience import eventually

pytestmark = pytest.mark.slow


def two_pods(platform: Any, make_endpoint: Any) -> tuple[Any, Any]:
    one, two = platform.server("one"), platform.server("two")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (one, two)})
    return one, two


def test_a_slow_pod_gets_less_than_half_of_its_fair_share(platform: Any, make_endpoint: Any, load: Any) -> None:
    slow, _ = two_pods(platform, make_endpoint)
    slow.delay = 0.5
    with load(clients=4) as requests:
        requests.more(200)
    served = Counter(requests.served_by())
    assert not requests.failures
    assert served["one"] < served["two"] / 2


def test_a_pod_that_is_gone_costs_no_request(platform: Any, make_endpoint: Any, load: Any) -> None:
    _, two = two_pods(platform, make_endpoint)
    with load() as requests:
        requests.more()
        two.stop()
        requests.more(100)
    lost = [item for item in requests.failures if isinstance(item, Exception) or item.status != 503]
    assert not lost
    assert len(requests.failures) <= 3, "at most the requests that were inside the pod when it died"


def test_a_pod_that_leaves_by_eds_costs_no_request(platform: Any, make_endpoint: Any, load: Any) -> None:
    one, two = two_pods(platform, make_endpoint)
    with load() as requests:
        for _ in range(5):
            requests.more(20)
            platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (one,)})
            requests.more(20)
            platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (one, two)})
    assert not requests.failures
    assert set(requests.served_by()) == {"one", "two"}


def test_a_pod_that_answers_503_is_set_aside_after_five_answers(platform: Any, make_endpoint: Any, load: Any) -> None:
    one, _ = two_pods(platform, make_endpoint)
    one.status = 503
    with load() as requests:
        requests.more(150)
    assert len(one.requests) <= 8, "five, and what was on its way"
    assert len(requests.failures) == len(one.requests)


def test_a_model_that_answers_500_is_not_set_aside(platform: Any, make_endpoint: Any, load: Any) -> None:
    one, _ = two_pods(platform, make_endpoint)
    one.status = 500
    with load() as requests:
        requests.more(150)
    assert len(one.requests) > 20, "a model's own error says nothing of its pod"


def test_a_pod_that_says_it_did_nothing_is_asked_no_more_and_another_is(
    platform: Any, make_endpoint: Any, load: Any
) -> None:
    one, two = two_pods(platform, make_endpoint)
    one.status = 503
    one.extra_headers = {"x-headrace-unprocessed": "1", "retry-after": "1"}
    with load() as requests:
        requests.more(100)
    assert not requests.failures
    assert one.requests, "it was asked"
    two.status = 429
    two.extra_headers = one.extra_headers
    before = len(one.requests) + len(two.requests)
    answer = platform.request("/fraud/invocations")
    assert answer.status in (429, 503), "when no pod takes it, the pod's own refusal is the answer"
    assert "x-headrace-unprocessed" not in answer.headers
    assert len(one.requests) + len(two.requests) - before <= 3, "tried again by one proxy, not by both"


def test_no_request_is_sent_twice_once_a_pod_has_it(platform: Any, make_endpoint: Any) -> None:
    one, two = two_pods(platform, make_endpoint)
    one.hang_up = two.hang_up = True
    answer = platform.request("/fraud/invocations")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert len(one.requests) + len(two.requests) == 1


def test_an_endpoint_without_pods_answers_503_at_once_and_says_when_to_return(
    platform: Any, make_endpoint: Any
) -> None:
    platform.publish(make_endpoint("fraud"), pods={})
    answer = platform.request("/serving-endpoints/fraud/invocations")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {
        "error_code": "TEMPORARILY_UNAVAILABLE",
        "message": "No replica of the model is ready yet.",
    }
    server = platform.server("late")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    assert platform.request("/serving-endpoints/fraud/invocations").status == 200


def test_a_model_slower_than_the_endpoints_limit_is_504(platform: Any, make_endpoint: Any) -> None:
    server = platform.server("slow")
    server.delay = 1.0
    platform.publish(make_endpoint("fraud", timeout=0.2), pods={("fraud", "v1"): (server,)})
    answer = platform.request("/fraud/invocations")
    assert (answer.status, answer.json()["error_code"]) == (504, "DEADLINE_EXCEEDED")
    assert len(server.requests) == 1


def test_each_version_has_an_address_of_its_own_even_without_weight(
    platform: Any, make_endpoint: Any, make_version: Any
) -> None:
    one, two = platform.server("one"), platform.server("two")
    platform.publish(
        make_endpoint("fraud", make_version("v1", 100), make_version("v2", 0)),
        pods={("fraud", "v1"): (one,), ("fraud", "v2"): (two,)},
    )
    assert platform.request("/fraud/invocations").json() == {"predictions": ["one"]}
    answer = platform.request("/serving-endpoints/fraud/served-models/v2/invocations?a=b")
    assert (answer.json(), answer.headers["served-model-name"]) == ({"predictions": ["two"]}, "v2")
    assert two.requests[-1].path == "/invocations?a=b"


def test_a_pod_may_name_its_model_itself(platform: Any, make_endpoint: Any) -> None:
    server = platform.server("fraud")
    server.extra_headers = {"served-model-name": "custom"}
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    assert platform.request("/fraud/invocations").headers["served-model-name"] == "custom"


@pytest.mark.parametrize("size", [2, 2_000_000])
def test_a_shadow_gets_a_copy_and_its_answer_is_thrown_away(
    platform: Any, make_endpoint: Any, make_version: Any, size: int
) -> None:
    real, shadow = platform.server("real"), platform.server("shadow")
    shadow.status = 500
    platform.publish(
        make_endpoint("fraud", make_version("v1", 100), make_version("v2", 0, shadow=100)),
        pods={("fraud", "v1"): (real,), ("fraud", "v2"): (shadow,)},
    )
    answer = platform.request("/fraud/invocations", body=b" " * size)
    assert answer.json() == {"predictions": ["real"]}
    eventually(lambda: len(shadow.requests) == 1, "the shadow received its copy")
    assert shadow.requests[0].body == b" " * size
    ids = [seen.requests[0].headers["x-request-id"] for seen in (real, shadow)]
    assert ids[0] == ids[1], "so that rows of both can be joined"
    platform.request("/serving-endpoints/fraud/served-models/v1/invocations")
    assert len(shadow.requests) == 1, "who asks for one version gets that one only"


def test_stats_name_the_endpoint_and_the_version(platform: Any, make_endpoint: Any) -> None:
    server = platform.server("fraud")
    platform.publish(make_endpoint("fraud-2"), pods={("fraud-2", "v1"): (server,)})
    platform.request("/fraud-2/invocations")
    status, text = platform.balancer.stats("/stats/prometheus")
    assert status == 200
    lines = [line for line in text.decode().splitlines() if 'headrace_endpoint="fraud-2"' in line]
    for name in ("upstream_rq_active", "upstream_rq_total", "upstream_rq_pending_active", "upstream_rq_time_bucket"):
        found = [line for line in lines if line.startswith(f"envoy_cluster_{name}{{")]
        assert found, name
        assert all('headrace_version="v1"' in line for line in found)
    total = next(line for line in lines if re.match(r"envoy_cluster_upstream_rq_total\{", line))
    assert total.endswith(" 1")


def test_the_stats_port_serves_two_pages_and_nothing_else_of_the_admin_interface(platform: Any) -> None:
    for envoy in (platform.pop, platform.balancer):
        assert envoy.stats("/ready")[0] == 200
        for path in ("/", "/config_dump", "/quitquitquit", "/clusters", "/stats", "/ready/../config_dump", "/logging"):
            assert envoy.stats(path)[0] == 404, path
