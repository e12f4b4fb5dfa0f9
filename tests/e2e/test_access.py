"""Who may ask: a token of the cluster, for this audience, not expired. Everybody else is turned away at the PoP."""

import base64
import json
from pathlib import Path

import pytest
from live_platform import Platform

from headrace.local import demo_identity


def _refused(platform: Platform, token: str | None, status: int = 401) -> None:
    answer = platform.ask(platform.model.request, token=token)

    assert answer.status == status
    assert answer.json["error_code"] == {401: "UNAUTHENTICATED", 404: "RESOURCE_DOES_NOT_EXIST"}[status]
    assert "served-model-name" not in answer.headers  # no pod saw it


def test_no_token(platform: Platform) -> None:
    _refused(platform, None)


def test_a_token_for_another_audience(platform: Platform) -> None:
    _refused(platform, demo_identity.token(Path(platform.description["kubeconfig"]), audience="somebody-else"))


def test_a_token_changed_after_it_was_signed(platform: Platform) -> None:
    head, payload, signature = platform.description["token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "exp": claims["exp"] + 1}).encode()).decode().rstrip("=")

    _refused(platform, f"{head}.{forged}.{signature}")


def test_a_token_without_a_signature(platform: Platform) -> None:
    payload = platform.description["token"].split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")

    _refused(platform, f"{head}.{payload}.")


@pytest.mark.parametrize("path", ["/serving-endpoints/unheard-of/invocations", "/unheard-of/invocations"])
def test_an_endpoint_that_does_not_exist(platform: Platform, path: str) -> None:
    answer = platform.ask({"inputs": [1]}, path=path)

    assert answer.status == 404
    assert answer.json["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_the_short_path_and_the_versions_own_path_reach_the_same_model(platform: Platform) -> None:
    for path in ("/breast-cancer/invocations", "/serving-endpoints/breast-cancer/served-models/v1/invocations"):
        answer = platform.ask(platform.model.request, path=path)
        assert answer.status == 200, answer.body
        assert answer.json == {"predictions": platform.model.expected}
