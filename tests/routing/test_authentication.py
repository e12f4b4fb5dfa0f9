"""Who is let in: the list of attacks and mistakes, each by its number, through the real PopProxy.

Everything that is refused is refused before it reaches a pod.
"""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

pytestmark = pytest.mark.slow
INVOKE = "/serving-endpoints/fraud/invocations"


@pytest.fixture
def fraud(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("fraud")
    other = platform.server("other")
    platform.publish(
        make_endpoint("fraud"),
        make_endpoint("private", subjects=("bob", "system:serviceaccount:team-b:caller")),
        pods={("fraud", "v1"): (server,), ("private", "v1"): (other,)},
    )
    platform.other_server = other
    return server


def refused(platform: Any, server: Any, status: int, answer: Any) -> None:
    assert answer.status == status, answer.body
    assert answer.json()["error_code"] == {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}.get(
        status, answer.json()["error_code"]
    )
    assert answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    assert not server.requests


def encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("case", "authorization"),
    [
        ("A01 no header", None),
        ("A02 empty bearer", "Bearer "),
        ("A02 no token", "Bearer"),
        ("A03 basic", "Basic YWxpY2U6c2VjcmV0"),
        ("A04 garbage", "Bearer not.a.token"),
        ("A04 one word", "Bearer garbage"),
        ("A04 bytes", "Bearer \x7f\xff"),
    ],
)
def test_what_is_not_a_token_is_401(platform: Any, fraud: Any, case: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = platform.request(INVOKE, token="", headers=headers)
    if answer.status == 400:
        assert "\x7f" in (authorization or ""), "only bytes that HTTP forbids are 400"
        return
    refused(platform, fraud, 401, answer)
    assert "Jwt" in answer.json()["message"], "the sentence says what is wrong with the token"


def wrong_tokens(signer: Any) -> dict[str, str]:
    now = int(time.time())
    other = type(signer)(kid=signer.kid)
    good = signer.token()
    head, payload, signature = good.split(".")
    public = json.dumps(signer.jwk()).encode()
    hs_head = encoded({"alg": "HS256", "typ": "JWT", "kid": signer.kid})
    hs_signature = base64.urlsafe_b64encode(
        hmac.new(public, f"{hs_head}.{payload}".encode(), hashlib.sha256).digest()
    ).rstrip(b"=")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    duplicate = json.dumps(claims)[:-1] + ', "sub": "mallory", "exp": 1}'
    return {
        "A06 comma-joined": f"{good},{good}",
        "A11 expired": signer.token(iat=now - 700, exp=now - 70),
        "A13 not yet valid": signer.token(nbf=now + 120),
        "A14 no expiry": signer.token(exp=None),
        "A15 ten years": signer.token(exp=now + 10 * 365 * 86400),
        "A16 wrong issuer": signer.token(iss="https://evil.test"),
        "A16 no issuer": signer.token(iss=None),
        "A17 wrong audience": signer.token(aud=["else"]),
        "A17 no audience": signer.token(aud=None),
        "A19 alg none": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{payload}.",
        "A19 alg None": f"{encoded({'alg': 'None', 'typ': 'JWT'})}.{payload}.{signature}",
        "A20 HS256 with the public key": f"{hs_head}.{payload}.{hs_signature.decode()}",
        "A21 unknown kid": signer.token({"kid": "unknown"}),
        "A22 kid traversal": signer.token({"kid": "../../../../dev/null"}),
        "A23 jku": other.token({"jku": "http://127.0.0.1:1/jwks", "kid": "evil"}),
        "A23 x5u": other.token({"x5u": "http://127.0.0.1:1/x5u"}),
        "A23 jwk": other.token({"jwk": other.jwk()}),
        "A24 truncated signature": good[:-10],
        "A24 empty signature": f"{head}.{payload}.",
        "A25 modified claim": f"{head}.{encoded({**claims, 'sub': 'bob'})}.{signature}",
        "A25 other key": other.token(),
        "A27 duplicate claims": signer.signed(json.dumps({"alg": "RS256", "kid": signer.kid}), duplicate),
    }


WRONG = (
    "A06 comma-joined",
    "A11 expired",
    "A13 not yet valid",
    "A14 no expiry",
    "A15 ten years",
    "A16 wrong issuer",
    "A16 no issuer",
    "A17 wrong audience",
    "A17 no audience",
    "A19 alg none",
    "A19 alg None",
    "A20 HS256 with the public key",
    "A21 unknown kid",
    "A22 kid traversal",
    "A23 jku",
    "A23 x5u",
    "A23 jwk",
    "A24 truncated signature",
    "A24 empty signature",
    "A25 modified claim",
    "A25 other key",
    "A27 duplicate claims",
)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_token_is_401(platform: Any, fraud: Any, signer: Any, case: str) -> None:
    refused(platform, fraud, 401, platform.request(INVOKE, token=wrong_tokens(signer)[case]))


def test_every_wrong_token_is_named_above(signer: Any) -> None:
    assert sorted(wrong_tokens(signer)) == sorted(WRONG)


def test_a05_two_authorization_headers_are_refused(platform: Any, fraud: Any, signer: Any) -> None:
    bearer = f"Authorization: Bearer {signer.token()}\r\n"
    request = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\n{bearer}{bearer}Content-Length: 2\r\n\r\n{{}}"
    assert platform.raw(request.encode()).split(b" ")[1] in (b"400", b"401")
    assert not fraud.requests


@pytest.mark.parametrize(
    "fields",
    [
        "Authorization: Basic eDp5\r\nAuthorization: Bearer {token}",
        "Authorization: Bearer {token}\r\nAuthorization: Basic eDp5",
        "Authorization: Bearer not.a.token\r\nAuthorization: bearer {token}",
        "authorization: Bearer {token}\r\nAUTHORIZATION: Bearer {token}",
        "Authorization: Negotiate eA==, Bearer {token}",
        "Authorization: Bearer {token}, Basic eDp5",
        "Authorization: Basic eDp5 Bearer {token}",
        "Authorization: XBearer {token}",
        "Authorization: Bearer {token} Basic eDp5",
    ],
)
@pytest.mark.parametrize("path", [INVOKE, "/private/invocations"])
def test_a05_a_good_token_beside_another_credential_is_refused(
    platform: Any, fraud: Any, signer: Any, fields: str, path: str
) -> None:
    """Two parts of a system could each believe another one of them."""
    sent = fields.format(token=signer.token(sub="bob"))
    answer = platform.raw(f"POST {path} HTTP/1.1\r\nHost: x\r\n{sent}\r\nContent-Length: 2\r\n\r\n{{}}".encode())

    assert answer.split(b" ")[1] == b"401", answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error_code"] == "UNAUTHENTICATED"
    assert not fraud.requests
    assert not platform.other_server.requests


def test_a07_a_token_in_the_query_is_no_token(platform: Any, fraud: Any, signer: Any) -> None:
    token = signer.token()
    for name in ("access_token", "token", "jwt"):
        for sent in ("", "not.a.token", token.removesuffix(token[-9:]), signer.token(aud="else")):
            answer = platform.request(f"{INVOKE}?{name}={token}", token=sent)
            refused(platform, fraud, 401, answer)
            assert answer.headers["www-authenticate"] == 'Bearer realm="headrace"'
            assert token[-40:] not in str(answer), "no part of the answer repeats the query"
    assert token[-40:] not in platform.pop.log.read_text(errors="replace")


def test_a08_the_scheme_is_case_insensitive(platform: Any, fraud: Any, signer: Any) -> None:
    for scheme in ("bearer", "BEARER"):
        answer = platform.request(INVOKE, token="", headers={"authorization": f"{scheme} {signer.token()}"})
        assert answer.status == 200, answer.body


def test_a09_blanks_after_the_token_do_not_matter(platform: Any, fraud: Any, signer: Any) -> None:
    for blanks in (" ", "\t", "   "):
        request = (
            f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {signer.token()}{blanks}\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
        assert platform.raw(request.encode()).startswith(b"HTTP/1.1 200")


def test_a12_expiry_within_the_tolerance_is_let_in(platform: Any, fraud: Any, signer: Any) -> None:
    now = int(time.time())
    assert platform.request(INVOKE, token=signer.token(iat=now - 600, exp=now - 20)).status == 200


def test_a18_one_of_several_audiences_is_enough(platform: Any, fraud: Any, signer: Any) -> None:
    assert platform.request(INVOKE, token=signer.token(aud=["else", "headrace"])).status == 200
    assert platform.request(INVOKE, token=signer.token(aud="headrace")).status == 200


def test_a26_a_huge_token_is_refused(platform: Any, fraud: Any, signer: Any) -> None:
    answer = platform.request(INVOKE, token=signer.token(padding="x" * 16_000))
    assert answer.status in (401, 431)
    assert not fraud.requests


def test_a28_a_rotated_key_is_accepted_in_the_overlap_and_refused_after(
    platform: Any, fraud: Any, signer: Any, keys_of: Any
) -> None:
    new = type(signer)(kid="two")
    before = platform.world.keys
    try:
        assert platform.request(INVOKE, token=new.token()).status == 401
        platform.publish_world(keys=keys_of(signer, new))
        assert platform.request(INVOKE, token=signer.token()).status == 200
        assert platform.request(INVOKE, token=new.token()).status == 200
        platform.publish_world(keys=keys_of(new))
        assert platform.request(INVOKE, token=new.token()).status == 200
        assert platform.request(INVOKE, token=signer.token()).status == 401
    finally:
        platform.publish_world(keys=before)


def test_a30_a_token_of_another_tenant_is_403(platform: Any, fraud: Any, signer: Any) -> None:
    private = "/serving-endpoints/private/invocations"
    refused(platform, platform.other_server, 403, platform.request(private, token=signer.token(sub="alice")))
    refused(platform, platform.other_server, 403, platform.request(private, token=signer.token(sub=None)))
    refused(platform, platform.other_server, 403, platform.request(private, token=signer.token(sub="bob,alice")))
    for subject in ("bob", "system:serviceaccount:team-b:caller"):
        assert platform.request(private, token=signer.token(sub=subject)).status == 200


def test_a31_claimed_identities_do_not_reach_the_pod(platform: Any, fraud: Any) -> None:
    spoofed = {
        "x-jwt-payload": "e30",
        "x-databricks-user": "root",
        "x-forwarded-client-cert": "By=spiffe://x",
        "x-envoy-expected-rq-timeout-ms": "1",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-retry-on": "5xx",
        "x-envoy-original-path": "/other",
        "X-Headrace-Subject": "root",
        "x-headrace-endpoint": "private",
        "x-headrace-anything": "1",
        "x-remote-user": "root",
        "x-real-ip": "10.0.0.1",
        "x-forwarded-for": "10.9.9.9",
        "x-forwarded-host": "evil.test",
        "x-original-url": "/private/invocations",
        "forwarded": "for=10.9.9.9",
        "x-request-id": "mine",
        "x-custom": "kept",
    }
    assert platform.request(INVOKE, headers=spoofed).status == 200
    seen = fraud.requests[-1].headers
    assert seen["x-custom"] == "kept"
    assert seen["x-headrace-subject"] == "alice"
    assert seen["x-headrace-endpoint"] == "fraud"
    assert seen["x-request-id"] != "mine"
    for name, value in spoofed.items():
        if name != "x-custom":
            assert seen.get(name.lower()) != value, name


def test_a32_a_header_with_an_underscore_is_refused(platform: Any, fraud: Any) -> None:
    answer = platform.request(INVOKE, headers={"x_headrace_subject": "root"})
    assert answer.status == 400
    assert not fraud.requests


def test_a33_every_route_that_the_proxy_holds_asks_for_a_token_but_two(platform: Any, fraud: Any) -> None:
    configs = json.loads(platform.pop.admin("/config_dump")[1])["configs"]
    found: dict[str, bool] = {}

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "match" in node and ("route" in node or "direct_response" in node or "redirect" in node):
                filters = node.get("typed_per_filter_config", {})
                found[node["name"]] = filters.get("envoy.filters.http.jwt_authn", {}).get("disabled", False)
                assert "envoy.filters.http.rbac" in filters
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    dump = next(config for config in configs if config["@type"].endswith(".RoutesConfigDump"))
    walk([table for table in dump["dynamic_route_configs"] if table["route_config"]["name"] == "pop-proxy"])
    assert {name for name, public in found.items() if public} == {
        "public/healthz",
        "public/.well-known/databricks-config",
    }
    assert {"fraud:/fraud/", "private:/serving-endpoints/private/", "unknown", "wrong-method"} <= set(found)


def test_a34_tricks_with_paths_lead_to_no_endpoint_that_the_token_may_not_call(platform: Any, fraud: Any) -> None:
    tricks = (
        "//private/invocations",
        "/private//invocations",
        "/fraud/../private/invocations",
        "/fraud/..%2fprivate/invocations",
        "/fraud/%2e%2e/private/invocations",
        "/serving-endpoints/fraud/..;/private/invocations",
        "/serving-endpoints/fraud/../private/invocations",
        "/serving-endpoints/fraud%2f..%2fprivate/invocations",
        "/serving-endpoints/private%2finvocations",
        "/serving-endpoints/fraud\\..\\private/invocations",
        "/%70rivate/invocations",
        "/PRIVATE/invocations",
        "/private/invocations?x=/fraud/invocations",
        "/private/invocations#/fraud/invocations",
        "/serving-endpoints/private/served-models/v1/invocations",
        "/serving-endpoints/fraud/served-models/../../private/invocations",
    )
    for path in tricks:
        answer = platform.request(path)
        assert answer.status in (400, 403, 404), (path, answer.status)
    assert not platform.other_server.requests
    assert not fraud.requests


def test_a35_the_authority_does_not_choose_the_endpoint(platform: Any, fraud: Any) -> None:
    for host in ("private", "private:8443", "private.endpoint", "fraud"):
        assert platform.request(INVOKE, headers={"host": host}).json() == {"predictions": ["fraud"]}
    assert not platform.other_server.requests


def test_a40_no_token_is_written_anywhere(platform: Any, fraud: Any, signer: Any) -> None:
    canary = signer.token(canary="0123456789")
    platform.request(INVOKE, token=canary)
    platform.request("/absent/invocations", token=canary)
    platform.request("/private/invocations", token=canary)
    platform.request(INVOKE, token=canary[:-20])
    for envoy in (platform.pop, platform.balancer):
        parts = [part for part in canary.split(".") if len(part) > 60]
        log = envoy.log.read_text(errors="replace")
        stats = envoy.stats("/stats/prometheus")[1].decode()
        assert not any(part[:60] in log or part[:60] in stats for part in parts[1:])
    assert not any(canary in str(seen.headers) for seen in fraud.requests)
