"""OpenAI's and the Open Inference Protocol's paths through both real Envoys."""

from typing import Any

import pytest


@pytest.fixture
def fraud(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("fraud-v1")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    return server


@pytest.mark.parametrize("prefix", ["/serving-endpoints/fraud", "/fraud", "/serving-endpoints/fraud/served-models/v1"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2"),
        ("GET", "/v2/"),
        ("GET", "/v2/health/ready"),
        ("GET", "/v2/models/fraud"),
        ("POST", "/v2/models/fraud/infer"),
        ("POST", "/v2/models/fraud/infer?a=b%2Fc"),
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/embeddings"),
    ],
)
def test_the_pod_sees_the_protocols_own_path(platform: Any, fraud: Any, prefix: str, method: str, path: str) -> None:
    answer = platform.request(prefix + path, method=method, body=b"{}" if method == "POST" else None)

    assert (answer.status, answer.json()) == (200, {"predictions": ["fraud-v1"]})
    assert answer.headers["served-model-name"] == "v1"
    seen = fraud.requests[-1]
    assert (seen.method, seen.path) == (method, path)
    assert (seen.headers["x-headrace-endpoint"], seen.headers["x-headrace-subject"]) == ("fraud", "alice")


def test_a_binary_body_arrives_with_the_length_of_its_head(platform: Any, fraud: Any) -> None:
    headers = {"inference-header-content-length": "2", "content-type": "application/octet-stream"}
    fraud.extra_headers = {"inference-header-content-length": "7"}
    answer = platform.request("/fraud/v2/models/fraud/infer", headers=headers, body=b"{}\0\1\2")

    assert fraud.requests[-1].body == b"{}\0\1\2"
    assert fraud.requests[-1].headers["inference-header-content-length"] == "2"
    assert answer.headers["inference-header-content-length"] == "7"


@pytest.mark.parametrize("prefix", ["/serving-endpoints/fraud", "/fraud", "/serving-endpoints/fraud/served-models/v1"])
@pytest.mark.parametrize("path", ["/v1/models", "/v2", "/v2/models/fraud/infer"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_405(platform: Any, fraud: Any, prefix: str, path: str, method: str) -> None:
    answer = platform.request(prefix + path, method=method, body=None)

    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    assert list(answer.json()) == ["error"]
    assert not fraud.requests


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/fraud/v3/models",
            "/fraud/v22",
            "/fraud/v2x/models",
            "/fraud/x/v2",
            "/v2/models/frau",
            "/v2/models/fraud-x",
        ),
        *("/v2/model/fraud", "/v1/chat", "/v2/models/%66raud-x", "/v2/models/FRAUD/infer"),
    ],
)
def test_what_only_looks_alike_is_404(platform: Any, fraud: Any, path: str) -> None:
    assert platform.request(path).status == 404
    assert not fraud.requests


def test_a_version_has_its_address_in_each_protocol(platform: Any, make_endpoint: Any, make_version: Any) -> None:
    one, two = platform.server("one"), platform.server("two")
    split = make_endpoint("fraud", make_version("v1", 100), make_version("v2", 0))
    platform.publish(split, pods={("fraud", "v1"): (one,), ("fraud", "v2"): (two,)})

    for path in (
        "/serving-endpoints/fraud/served-models/v2/v2/models/fraud/infer",
        "/serving-endpoints/fraud/served-models/v2/v1/chat/completions",
        "/serving-endpoints/fraud/v2/models/fraud/versions/v2/infer",
        "/fraud/v2/models/fraud/versions/v2",
    ):
        answer = platform.request(path)
        assert (answer.json(), answer.headers["served-model-name"]) == ({"predictions": ["two"]}, "v2"), path
    assert two.requests[-1].path == "/v2/models/fraud/versions/v2"
    assert platform.request("/serving-endpoints/fraud/served-models/v9/v2/models/fraud/infer").status == 404
    assert platform.request("/fraud/v2/models/fraud/infer").json() == {"predictions": ["one"]}
    assert len(two.requests) == 4


def test_an_access_list_holds_for_every_protocol(platform: Any, make_endpoint: Any, signer: Any) -> None:
    server = platform.server("fraud")
    platform.publish(make_endpoint("fraud", subjects=("bob",)), pods={("fraud", "v1"): (server,)})

    for path in ("/fraud/v2/models/fraud/infer", "/serving-endpoints/fraud/v1/models", "/fraud/v2"):
        for method in ("GET", "POST"):
            assert platform.request(path, method=method, token="").status == 401
            assert platform.request(path, method=method).status == 403
            assert platform.request(path, method=method, token=signer.token(sub="bob")).status == 200
    assert {seen.headers["x-headrace-subject"] for seen in server.requests} == {"bob"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/models/fraud"),
        ("GET", "/v2/models/fraud?a=/v2/models/other"),
        ("GET", "/v2/models/fraud/ready"),
        ("POST", "/v2/models/fraud/infer"),
        ("POST", "/v2/models/fraud/infer?a=b%2Fc"),
        ("POST", "/v2/models/fraud/versions/v1/infer"),
        ("POST", "/v2/models/fraud/"),
    ],
)
def test_the_open_inference_protocol_names_the_endpoint_at_the_host_itself(
    platform: Any, fraud: Any, method: str, path: str
) -> None:
    headers = {"x-headrace-model": "other"}
    answer = platform.request(path, method=method, headers=headers, body=b"{}" if method == "POST" else None)

    assert (answer.status, answer.json()) == (200, {"predictions": ["fraud-v1"]})
    assert answer.headers["served-model-name"] == "v1"
    seen = fraud.requests[-1]
    assert (seen.method, seen.path) == (method, path)
    assert (seen.headers["x-headrace-endpoint"], seen.headers["x-headrace-subject"]) == ("fraud", "alice")
    assert "x-headrace-model" not in seen.headers


def test_a_large_body_goes_to_the_endpoint_that_the_path_names(platform: Any, fraud: Any) -> None:
    body = b" " * platform.options.body_bytes
    assert platform.request("/v2/models/fraud/infer", body=body).status == 200
    assert fraud.requests[-1].body == body


@pytest.mark.parametrize("path", ["/v2/models/fraud", "/v2/models/fraud/infer"])
def test_methods_at_the_host_are_those_of_the_endpoint(platform: Any, fraud: Any, path: str) -> None:
    answer = platform.request(path, method="DELETE", body=None)

    assert (answer.status, answer.headers["allow"], list(answer.json())) == (405, "GET, POST", ["error"])
    assert not fraud.requests


def test_an_access_list_holds_at_the_host_too(platform: Any, make_endpoint: Any, signer: Any) -> None:
    server = platform.server("fraud")
    platform.publish(
        make_endpoint("fraud", subjects=("bob",)), make_endpoint("open"), pods={("fraud", "v1"): (server,)}
    )
    paths = ("/v2/models/fraud/infer", "/v2/models/fraud", "/v2/models/open/../fraud/infer", "/v1/chat/completions")
    for path in paths:
        body = b'{"model": "fraud"}'
        assert platform.request(path, token="", body=body).status == 401
        assert platform.request(path, body=body).status == 403
        assert platform.request(path, token=signer.token(sub="bob"), body=body).status == 200
    assert {seen.headers["x-headrace-subject"] for seen in server.requests} == {"bob"}


def test_a_version_is_named_at_the_host_as_at_the_endpoint(
    platform: Any, make_endpoint: Any, make_version: Any
) -> None:
    one, two = platform.server("one"), platform.server("two")
    split = make_endpoint("fraud", make_version("v1", 100), make_version("v2", 0))
    platform.publish(split, pods={("fraud", "v1"): (one,), ("fraud", "v2"): (two,)})

    assert platform.request("/v2/models/fraud/infer").json() == {"predictions": ["one"]}
    assert platform.request("/v2/models/fraud/versions/v2/infer").json() == {"predictions": ["two"]}


@pytest.mark.parametrize("name", ["models", "health", "v1", "v2", "api", "chat", "serving-endpoints"])
def test_an_endpoint_may_be_called_like_a_part_of_a_path(platform: Any, make_endpoint: Any, name: str) -> None:
    server = platform.server(name)
    platform.publish(make_endpoint(name), pods={(name, "v1"): (server,)})

    for path in (
        f"/v2/models/{name}/infer",
        f"/v2/models/{name}",
        f"/{name}/v2/models/{name}/infer",
        f"/serving-endpoints/{name}/v1/models",
        f"/{name}/invocations",
    ):
        assert platform.request(path).json() == {"predictions": [name]}, path


@pytest.mark.parametrize("ending", ["", "/", "?a=b"])
def test_mlflows_client_of_deployments_has_a_path_of_its_own(
    platform: Any, make_endpoint: Any, fraud: Any, ending: str
) -> None:
    server = platform.server("endpoints")
    pods = {("fraud", "v1"): (fraud,), ("endpoints", "v1"): (server,)}
    platform.publish(
        make_endpoint("fraud"), make_endpoint("endpoints"), make_endpoint("bobs", subjects=("bob",)), pods=pods
    )
    body = b'{"model": "endpoints"}'

    assert platform.request(f"/endpoints/fraud/invocations{ending}", body=body).json() == {"predictions": ["fraud-v1"]}
    seen = fraud.requests[-1]
    assert (seen.path, seen.body, seen.headers["x-headrace-endpoint"]) == (f"/invocations{ending}", body, "fraud")
    assert platform.request(f"/endpoints/invocations{ending}").json() == {"predictions": ["endpoints"]}
    assert platform.request(f"/endpoints/bobs/invocations{ending}", body=body).status == 403
    absent = platform.request(f"/endpoints/absent/invocations{ending}", body=body)
    assert (absent.status, absent.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert platform.request(f"/endpoints/fraud/invocations{ending}", method="GET", body=None).headers["allow"] == "POST"
    assert len(server.requests) == 1


MANAGED = [
    "/api/2.0/serving-endpoints",
    "/api/2.0/serving-endpoints/bobs/metrics",
    "/api/2.0/endpoints/",
    "/v1/models",
    "/serving-endpoints/models",
    "/v2",
    "/v2/health/ready",
]
"""What is asked about endpoints or the host, and not of an endpoint."""


def test_the_management_api_is_told_the_tokens_subject_and_nobodys_word(
    platform: Any, make_endpoint: Any, management: Any, objects_of: Any, signer: Any
) -> None:
    bobs = make_endpoint("bobs", subjects=("bob",))
    management.items = [objects_of(bobs)]
    platform.publish_world(endpoints=(bobs,))

    def listed(**options: Any) -> list[str]:
        answer = platform.request("/api/2.0/serving-endpoints", method="GET", body=None, **options)
        return [each["name"] for each in answer.json()["endpoints"]]

    assert listed(token=signer.token(sub="bob")) == ["bobs"]
    assert listed() == []
    for spoofed in ({"x-headrace-subject": "bob"}, {"X-Headrace-Subject": "bob", "x-forwarded-user": "bob"}):
        assert listed(headers=spoofed) == []
    assert listed(token=signer.token(sub=None)) == []


@pytest.mark.parametrize("path", MANAGED)
def test_what_is_asked_about_endpoints_needs_a_token_and_changes_nothing(
    platform: Any, fraud: Any, management: Any, path: str
) -> None:
    assert platform.request(path, method="GET", token="", body=None).status == 401
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = platform.request(path, method=method)
        if path.startswith("/api/"):
            assert (answer.status, answer.headers["allow"]) == (405, "GET")
            assert "with Pulumi" in answer.json()["message"]
        else:
            assert answer.status == 404
    assert not fraud.requests


@pytest.mark.parametrize("path", MANAGED)
def test_without_the_management_api_endpoints_are_served_all_the_same(platform: Any, fraud: Any, path: str) -> None:
    answer = platform.request(path, method="GET", body=None)

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert b"management API could not be reached" in answer.body
    assert platform.request("/v2/models/fraud/infer").status == 200
