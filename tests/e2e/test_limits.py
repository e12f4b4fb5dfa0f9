"""Limits on a real cluster: a caller who takes too much is told so and when to come again; another one is served."""

import json

from live_platform import Platform, eventually

from headrace.contract import names

LIMIT = 20


def test_a_caller_over_its_limit_is_told_so_and_another_caller_is_served(platform: Platform) -> None:
    name = platform.description["endpoint"]
    other = platform.kubectl("create", "token", "default", "-n", "default", "--audience", names.TOKEN_AUDIENCE).strip()

    def limit(limits: dict[str, int] | None) -> None:
        kind, space = f"{names.MODEL_ENDPOINT_PLURAL}.{names.API_GROUP}", names.endpoint_namespace(name)
        change = json.dumps({"spec": {"limits": limits}})
        platform.kubectl("-n", space, "patch", kind, name, "--type", "merge", "-p", change)

    limit({"callerRequestsPerMinute": LIMIT})
    try:
        eventually(lambda: "ratelimit" in platform.ask(platform.model.request, token=other).headers)
        answers = [platform.ask(platform.model.request) for _ in range(2 * LIMIT)]
        another = platform.ask(platform.model.request, token=other)
    finally:
        limit(None)

    statuses = [answer.status for answer in answers]
    assert statuses[0] == 200
    assert set(statuses) == {200, 429}
    assert LIMIT <= statuses.count(200) <= LIMIT + 10, "the minute's share, and what came back meanwhile"
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.headers["ratelimit-policy"].endswith(";w=60")
    assert refused.headers["ratelimit"].startswith('"requests";r=0;t=')
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert "served-model-name" not in refused.headers, "no pod saw it"
    assert another.status == 200
    eventually(lambda: "ratelimit" not in platform.ask(platform.model.request).headers)
