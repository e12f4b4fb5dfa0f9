"""Limits in the real PopProxy: who sent too much is told so, and nobody else."""

from collections.abc import Callable
from dataclasses import replace

from clients import Answer, Platform

from headrace.contract.limits import Limits
from headrace.routing.snapshot import Endpoint
from headrace.routing.snapshot.rate_limits import share

ADDRESSES = ("/fraud/invocations", "/serving-endpoints/fraud/invocations", "/endpoints/fraud/invocations")


def limited(endpoint: Endpoint, **limits: int) -> Endpoint:
    return replace(endpoint, spec=replace(endpoint.spec, limits=Limits(**limits)))


def asked(platform: Platform, subject: str, *paths: str) -> list[Answer]:
    token = platform.signer.token(sub=subject)
    return [platform.request(path, token=token) for path in paths]


def test_a_share_is_never_nothing_and_shares_are_together_no_less_than_the_limit() -> None:
    assert [share(100, count) for count in (1, 2, 3, 200)] == [100, 50, 34, 1]


def test_a_caller_over_its_limit_is_refused_by_every_address_and_another_caller_is_not(
    platform: Platform, make_endpoint: Callable[..., Endpoint]
) -> None:
    pods = {("fraud", "v1"): (platform.server("v1"),), ("churn", "v1"): (platform.server("other"),)}
    fraud = limited(make_endpoint("fraud"), caller_requests_per_minute=3)
    platform.publish(fraud, make_endpoint("churn"), pods=pods)

    answers = asked(platform, "greedy", *ADDRESSES)
    (refused,) = asked(platform, "greedy", ADDRESSES[0])
    (open_inference,) = asked(platform, "greedy", "/v2/models/fraud/infer")

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [answer.headers["ratelimit"].partition(";t=")[0] for answer in answers] == [
        '"requests";r=2',
        '"requests";r=1',
        '"requests";r=0',
    ]
    assert {answer.headers["ratelimit-policy"] for answer in [*answers, refused]} == {'"requests";q=3;w=60'}
    assert not any(name.startswith("x-ratelimit") for name in refused.headers)
    assert refused.status == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert refused.json()["message"].startswith("More requests came in a minute than the endpoint lets in")
    assert (open_inference.status, list(open_inference.json())) == (429, ["error"])
    (modest,) = asked(platform, "modest", ADDRESSES[0])
    (elsewhere,) = asked(platform, "greedy", "/churn/invocations")
    assert (modest.status, modest.headers["ratelimit"].partition(";t=")[0]) == (200, '"requests";r=2')
    assert (elsewhere.status, "ratelimit" in elsewhere.headers) == (200, False)


def test_counts_outlive_a_change_of_routes_and_all_callers_together_have_a_limit_too(
    platform: Platform, make_endpoint: Callable[..., Endpoint]
) -> None:
    pods = {("fraud", "v1"): (platform.server("v1"),)}
    fraud = limited(make_endpoint("fraud"), requests_per_minute=4, caller_requests_per_minute=3)
    platform.publish(fraud, pods=pods, pop_proxies=2)

    first = asked(platform, "one", ADDRESSES[0], ADDRESSES[0], ADDRESSES[0])
    platform.publish(fraud, make_endpoint("churn"), pods=pods, pop_proxies=2)
    (other,) = asked(platform, "two", ADDRESSES[0])

    assert [answer.status for answer in first] == [200, 200, 429], "one proxy of two has half of each limit"
    assert other.status == 429, "and the two requests that were let in are not forgotten"


def test_who_may_not_call_uses_up_nothing_and_a_bad_token_is_told_no_limit(
    platform: Platform, make_endpoint: Callable[..., Endpoint]
) -> None:
    fraud = limited(make_endpoint("fraud", subjects=("friend",)), requests_per_minute=1)
    platform.publish(fraud, pods={("fraud", "v1"): (platform.server("v1"),)})

    refused = [*asked(platform, "stranger", *ADDRESSES), platform.request(ADDRESSES[0], token="nonsense")]
    (friend,) = asked(platform, "friend", ADDRESSES[0])

    assert [answer.status for answer in refused] == [403, 403, 403, 401]
    assert not any("ratelimit" in answer.headers for answer in refused)
    assert friend.status == 200


def test_a_stopped_endpoint_says_so_to_who_may_call_it(
    platform: Platform, make_endpoint: Callable[..., Endpoint]
) -> None:
    open_endpoint = make_endpoint("fraud", subjects=("friend",))
    stopped = replace(open_endpoint, spec=replace(open_endpoint.spec, stopped=True))
    platform.publish(stopped, pods={})

    (friend,), (stranger,) = asked(platform, "friend", ADDRESSES[2]), asked(platform, "stranger", ADDRESSES[0])
    (open_inference,) = asked(platform, "friend", "/v2/models/fraud/infer")

    assert (friend.status, friend.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert friend.json()["message"].startswith("The endpoint is stopped and answers nothing until it is started again")
    assert (open_inference.status, list(open_inference.json())) == (503, ["error"])
    assert stranger.status == 403
    platform.publish(open_endpoint, pods={("fraud", "v1"): (platform.server("v1"),)})
    assert [answer.status for answer in asked(platform, "friend", ADDRESSES[0])] == [200]
