"""Revoked tokens and callers in the real PopProxy: refused at their next request, on the connection that they have."""

import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clients import Platform

from headrace.contract import console
from headrace.contract.revoked import NOTHING_REVOKED, Revoked
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.routing.snapshot import Endpoint, Keys, KnownIssuer

pytestmark = pytest.mark.slow
CORP = "https://login.corp.test"
INVOKE = "/serving-endpoints/fraud/invocations"
ADDRESSES = (INVOKE, "/fraud/invocations", "/endpoints/fraud/invocations", "/api/2.0/serving-endpoints")
STRANGE = 'a"]]=true}os.exit()--\\'
"""A token's id that would be more than a text, were it not for quotes."""


@pytest.fixture(scope="module")
def corp(signer: Any) -> Any:
    return type(signer)(issuer=CORP)


@pytest.fixture
def fraud(platform: Platform, corp: Any, make_endpoint: Callable[..., Endpoint]) -> Iterator[Platform]:
    """One endpoint for everybody, and an issuer beside the cluster."""
    known = KnownIssuer(
        trusted=TrustedIssuer(issuer=CORP, groups_claim="groups"), keys=Keys.of(CORP, {"keys": [corp.jwk()]})
    )
    pods = {("fraud", "v1"): (platform.server("v1"),)}
    platform.publish(make_endpoint("fraud"), pods=pods, other_issuers=(known,))
    yield platform
    platform.publish_world(other_issuers=(), revoked=NOTHING_REVOKED)


def statuses(platform: Platform, token: str) -> set[int]:
    return {platform.request(path, token=token).status for path in ADDRESSES[:3]}


def test_a_revoked_token_is_refused_on_every_way_and_no_other_is(fraud: Platform) -> None:
    tokens = {name: fraud.signer.token(sub="bob", jti=name) for name in ("lost", "kept", STRANGE)}
    tokens["nameless"] = fraud.signer.token(sub="bob")
    fraud.publish_world(revoked=Revoked(tokens=("lost", STRANGE)))

    refused = [fraud.request(path, token=tokens["lost"]) for path in ADDRESSES]
    open_inference = fraud.request("/v2/models/fraud/infer", token=tokens["lost"])

    assert {answer.status for answer in refused} == {401}
    assert {answer.json()["error_code"] for answer in refused} == {"UNAUTHENTICATED"}
    assert refused[0].json()["message"].startswith("Jwt is revoked; send 'Authorization: Bearer <token>'")
    assert refused[0].headers["www-authenticate"] == 'Bearer realm="headrace"'
    assert (open_inference.status, list(open_inference.json())) == (401, ["error"])
    assert statuses(fraud, tokens[STRANGE]) == {401}
    assert statuses(fraud, tokens["kept"]) == statuses(fraud, tokens["nameless"]) == {200}


def test_of_a_revoked_caller_every_token_is_refused_and_no_namesakes_is(fraud: Platform, corp: Any) -> None:
    fraud.publish_world(revoked=Revoked(subjects=("bob", f"{CORP}#jürgen")))

    assert statuses(fraud, fraud.signer.token(sub="bob", jti="any")) == {401}
    assert statuses(fraud, corp.token(sub="jürgen")) == {401}
    assert statuses(fraud, corp.token(sub="bob")) == statuses(fraud, fraud.signer.token(sub="jürgen")) == {200}


def test_what_is_revoked_counts_at_the_next_request_of_a_connection_and_can_be_taken_back(fraud: Platform) -> None:
    token = fraud.signer.token(sub="bob", jti="lost")
    context = ssl.create_default_context(cafile=str(fraud.ca_file))
    connection = http.client.HTTPSConnection("localhost", fraud.options.pop_port, context=context, timeout=15)

    def asked() -> int:
        sent = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection.request("POST", INVOKE, body=json.dumps({"inputs": [1]}), headers=sent)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    seen = [asked()]
    own = connection.sock
    for revoked in (Revoked(tokens=("lost",)), Revoked(tokens=("another",)), NOTHING_REVOKED):
        fraud.publish_world(revoked=revoked)
        seen.append(asked())

    assert seen == [200, 401, 200, 200]
    assert connection.sock is own, "one connection for all of them"
    connection.close()


def test_no_pod_is_told_a_tokens_id_and_nobody_claims_one(
    fraud: Platform, make_endpoint: Callable[..., Endpoint]
) -> None:
    pod = fraud.server("seen")
    fraud.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (pod,)}, revoked=Revoked(tokens=("lost",)))

    answer = fraud.request(INVOKE, token=fraud.signer.token(jti="kept"), headers={"x-headrace-token-id": "lost"})

    assert answer.status == 200
    assert "x-headrace-token-id" not in pod.requests[-1].headers


def test_a_browser_with_a_revoked_token_is_led_to_where_it_logs_in(fraud: Platform) -> None:
    fraud.publish_world(revoked=Revoked(subjects=("bob",)))

    cookie = {"cookie": f"{console.COOKIE}={fraud.signer.token(sub='bob')}"}
    answer = fraud.request("/console", method="GET", token="", headers=cookie, body=None)

    assert (answer.status, answer.headers["location"]) == (303, console.LOGIN_PATH)
