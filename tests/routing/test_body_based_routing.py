"""`/serving-endpoints/chat/completions` and its siblings: the body names the endpoint. Through both real Envoys."""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # many bodies and paths, each through both proxies

PATHS = ["chat/completions", "completions", "embeddings", "responses"]
BASES = ["/serving-endpoints", "/v1"]


@pytest.fixture
def served(platform: Any, make_endpoint: Any) -> dict[str, Any]:
    """An endpoint that has the name of a path's first part, one that has a longer one, and one with an access list."""
    servers = {name: platform.server(name) for name in ("chat", "completions-b", "closed")}
    endpoints = [make_endpoint(name, subjects=("bob",) if name == "closed" else ()) for name in servers]
    platform.publish(*endpoints, pods={(name, "v1"): (server,) for name, server in servers.items()})
    return servers


def _asked(model: Any, **more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "x"}], "model": model, **more}).encode()


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["chat", "completions-b"])
@pytest.mark.parametrize("ending", ["", "/", "?a=b"])
def test_the_body_names_the_endpoint(  # noqa: PLR0917 -- fixtures and parameters
    platform: Any, served: Any, base: str, path: str, name: str, ending: str
) -> None:
    body = _asked(name)
    answer = platform.request(f"{base}/{path}{ending}", body=body)

    assert (answer.status, answer.json()) == (200, {"predictions": [name]})
    assert answer.headers["served-model-name"] == "v1"
    seen = served[name].requests[-1]
    assert (seen.path, seen.body) == (f"/v1/{path}{ending}", body)
    assert (seen.headers["x-headrace-endpoint"], seen.headers["x-headrace-subject"]) == (name, "alice")
    assert "x-headrace-model" not in seen.headers
    assert not [other for other in served if other != name and served[other].requests]


def test_the_endpoints_own_addresses_stay(platform: Any, served: Any) -> None:
    for path in ("/serving-endpoints/chat/invocations", "/chat/v1/chat/completions", "/completions-b/invocations"):
        assert platform.request(path, body=_asked("closed")).status == 200
    assert platform.request("/serving-endpoints/chat/elsewhere", body=_asked("chat")).status == 404
    assert platform.request("/serving-endpoints/completions/invocations", body=_asked("chat")).status == 404
    assert not served["closed"].requests


@pytest.mark.parametrize("base", BASES)
def test_an_access_list_holds(platform: Any, served: Any, signer: Any, base: str) -> None:
    path = f"{base}/chat/completions"

    assert platform.request(path, body=_asked("closed"), token="").status == 401
    refused = platform.request(path, body=_asked("closed"))
    assert (refused.status, refused.json()["error"]["type"]) == (403, "permission_error")
    assert not served["closed"].requests
    assert platform.request(path, body=_asked("closed"), token=signer.token(sub="bob")).status == 200


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "body",
    [
        _asked("unheard-of"),
        _asked(None),
        _asked(["chat"]),
        _asked({"name": "chat"}),
        _asked("chat\r\nx-headrace-subject: bob"),
        _asked("x" * 900_000),
        b"{}",
        b"[]",
        b"",
        b"not JSON",
        b'{"model": "chat"',
        b"[" * 100_000,
        b'{"model": "chat", "a": ' + b"[" * 400_000 + b"]" * 400_000 + b"}",
        b'{"model": "ch\xff\xfeat"}',
    ],
    ids=range(14),
)
def test_a_body_that_names_no_endpoint_is_404(platform: Any, served: Any, base: str, body: bytes) -> None:
    answer = platform.request(f"{base}/chat/completions", body=body)

    assert answer.status == 404
    assert answer.json()["error"] == {
        "message": "No endpoint has the name that the request's body gives as 'model', a text.",
        "type": "invalid_request_error",
        "code": "resource_does_not_exist",
    }
    assert not any(server.requests for server in served.values())
    assert platform.request("/serving-endpoints/chat/completions", body=_asked("chat")).status == 200


def test_a_header_names_nothing(platform: Any, served: Any) -> None:
    headers = {"x-headrace-model": "chat", "headrace-endpoint": "chat"}

    assert platform.request("/serving-endpoints/embeddings", headers=headers, body=b"{}").status == 404
    assert not any(server.requests for server in served.values())


def test_a_body_that_is_too_large_to_be_looked_into_is_413(platform: Any, served: Any) -> None:
    body = _asked("chat", padding="x" * platform.options.model_body_bytes)

    refused = platform.request("/serving-endpoints/chat/completions", body=body)

    assert refused.status == 413
    assert (
        "larger than 1 MiB; send less at once, or to the endpoint's own address" in refused.json()["error"]["message"]
    )
    assert platform.request("/serving-endpoints/chat/v1/chat/completions", body=body).status == 200


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_405(platform: Any, served: Any, base: str, path: str, method: str) -> None:
    answer = platform.request(f"{base}/{path}", method=method, body=None)

    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_without_an_endpoint_there_is_nothing(platform: Any) -> None:
    platform.publish(pods={})

    assert platform.request("/serving-endpoints/chat/completions", body=_asked("chat")).status == 404
