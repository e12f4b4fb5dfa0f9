"""Who may ask: a token of the cluster, for this audience, not expired. Everybody else is turned away at the PoP."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from live_platform import Platform, eventually

from headrace.contract import names
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


def test_a_caller_is_told_of_the_endpoints_that_it_may_call(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Databricks' own client lists, reads and asks through the PoP; another subject sees that there is nothing."""
    sdk = pytest.importorskip("databricks.sdk")
    from databricks.sdk.errors import DatabricksError, NotFound  # noqa: PLC0415 -- optional

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", platform.description["ca_file"])
    name, version, url = platform.description["endpoint"], "v1", platform.description["url"]
    stranger = platform.kubectl("create", "token", "default", "-n", "default", "--audience", names.TOKEN_AUDIENCE)

    def client(token: str) -> Any:
        return sdk.WorkspaceClient(host=url, token=token.strip()).serving_endpoints

    def admit(*subjects: str, groups: tuple[str, ...] | None = None) -> None:
        kind, space = f"{names.MODEL_ENDPOINT_PLURAL}.{names.API_GROUP}", names.endpoint_namespace(name)
        change = json.dumps({"spec": {"access": {"subjects": subjects, "groups": groups}}})
        platform.kubectl("-n", space, "patch", kind, name, "--type", "merge", "-p", change)

    mine, theirs = client(platform.description["token"]), client(stranger)
    assert [one.name for one in theirs.list()] == [name], "a token of the cluster is enough where nobody is listed"
    assert mine.get(name).state.ready.value == "READY"
    assert json.load(mine.get_open_api(name).contents)["paths"].keys() == {"/invocations"}
    assert b'headrace_requests_completed_total{pod="' in mine.export_metrics(name).contents.read()
    assert mine.logs(name, version).logs.startswith("==> ")
    with pytest.raises(DatabricksError, match="with Pulumi"):
        mine.delete(name)

    admit(f"system:serviceaccount:{demo_identity.NAMESPACE}:{demo_identity.NAME}")
    try:
        eventually(lambda: list(theirs.list()) == [])
        eventually(lambda: platform.ask(platform.model.request, token=stranger.strip()).status == 403)
        with pytest.raises(NotFound, match="that you may call"):
            theirs.get(name)
        assert [one.name for one in mine.list()] == [name]
        assert platform.ask(platform.model.request).status == 200

        admit(groups=("https://login.corp.test#risk",))  # in which no token of the cluster is
        eventually(lambda: list(mine.list()) == [])
        eventually(lambda: platform.ask(platform.model.request).status == 403)
    finally:
        admit()
    eventually(lambda: platform.ask(platform.model.request).status == 200)


def test_a_lost_token_is_revoked_and_nobody_else_notices(platform: Platform) -> None:
    lost = platform.kubectl("create", "token", "default", "-n", "default", "--audience", names.TOKEN_AUDIENCE).strip()
    claims = json.loads(base64.urlsafe_b64decode(lost.split(".")[1] + "=="))
    assert platform.ask(platform.model.request, token=lost).status == 200

    settings = platform.settings([platform.endpoint])
    platform.stack.up({**settings, "revoked": {"tokens": [claims["jti"]]}})
    try:
        eventually(lambda: platform.ask(platform.model.request, token=lost).status == 401)
        told = platform.ask(platform.model.request, token=lost).json["message"]
        assert told.startswith("Jwt is revoked; send 'Authorization: Bearer <token>' with a current token")
        assert platform.ask(platform.model.request).status == 200
    finally:
        platform.stack.up(settings)
    eventually(lambda: platform.ask(platform.model.request, token=lost).status == 200)


def test_the_host_itself_serves_models_by_their_endpoints_names(platform: Platform) -> None:
    asked = f"/v2/models/{platform.description['endpoint']}"

    assert platform.ask({}, path=f"{asked}/infer").status == 400, "the pod's own refusal of no inputs"
    assert platform.ask({}, path="/v2/models/unheard-of/infer").status == 404
    assert platform.ask({}, path=f"{asked}/infer", token=None).status == 401
