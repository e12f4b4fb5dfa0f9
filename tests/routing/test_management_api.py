"""The answer to each path of the management API."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from management_server import StandInReports, item_of

from headrace.contract.caller import Caller
from headrace.contract.errors import TemporaryError
from headrace.routing.management.management_api import ManagementApi
from headrace.routing.management.serving_endpoints import read

ROOT = "/api/2.0/serving-endpoints"


@pytest.fixture
def api(make_endpoint: Any) -> ManagementApi:
    found = [read(item_of(each)) for each in (make_endpoint("fraud"), make_endpoint("private", subjects=("bob",)))]
    return ManagementApi(lambda: found, StandInReports())


def asked(api: ManagementApi, path: str, subject: str = "alice") -> tuple[int, Any]:
    response = api.get(path, Caller(subject))
    return response.status, json.loads(response.body)


def test_a_list_holds_the_callers_endpoints(api: ManagementApi) -> None:
    for path in (ROOT, f"{ROOT}/"):
        assert [each["name"] for each in asked(api, path)[1]["endpoints"]] == ["fraud"]
        assert [each["name"] for each in asked(api, path, "bob")[1]["endpoints"]] == ["fraud", "private"]


@pytest.mark.parametrize("rest", ["", "/metrics", "/openapi", "/served-models/v1/logs", "/served-models/v1/build-logs"])
def test_an_endpoint_that_the_caller_may_not_call_does_not_exist(api: ManagementApi, rest: str) -> None:
    hidden, absent = asked(api, f"{ROOT}/private{rest}"), asked(api, f"{ROOT}/absent{rest}")

    assert hidden[0] == absent[0] == 404
    assert hidden[1]["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert hidden[1]["message"].replace("private", "absent") == absent[1]["message"]
    assert api.get(f"{ROOT}/private{rest}", Caller("bob")).status == 200


def test_measures_logs_and_the_description_are_the_endpoints(api: ManagementApi) -> None:
    measures = api.get(f"{ROOT}/fraud/metrics", Caller("alice"))
    description = api.get(f"{ROOT}/fraud/openapi", Caller("alice"))

    assert measures.content_type.startswith("text/plain")
    assert b'endpoint="fraud"' in measures.body
    assert json.loads(description.body)["info"]["title"] == "fraud"
    assert asked(api, f"{ROOT}/fraud/served-models/v1/logs") == (200, {"logs": "==> fraud-v1-a <==\nloaded\n"})
    assert (
        "models:/m/v1 is in image image@sha256:0" in asked(api, f"{ROOT}/fraud/served-models/v1/build-logs")[1]["logs"]
    )


def test_a_version_that_is_not_there_and_a_path_that_is_not_are_named(api: ManagementApi) -> None:
    status, document = asked(api, f"{ROOT}/fraud/served-models/v9/logs")
    assert (status, document["message"]) == (404, "Endpoint 'fraud' has no version 'v9'; it has v1.")
    status, document = asked(api, f"{ROOT}/fraud/elsewhere")
    assert (status, document["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert "elsewhere" in document["message"]


def test_while_no_pod_answers_it_is_to_be_asked_again(make_endpoint: Any) -> None:
    class Silent(StandInReports):
        def metadata(self, endpoint: str) -> Mapping[str, Any] | None:
            raise TemporaryError(f"no pod of endpoint {endpoint!r} answers; try again")

    found = [read(item_of(make_endpoint("fraud")))]
    status, document = asked(ManagementApi(lambda: found, Silent()), f"{ROOT}/fraud/openapi")

    assert (status, document["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert document["message"] == "no pod of endpoint 'fraud' answers; try again."


def test_mlflows_client_of_deployments_lists_them_too(api: ManagementApi) -> None:
    root = "/api/2.0/endpoints"
    (one,) = asked(api, f"{root}/")[1]["endpoints"]

    assert (one["name"], one["endpoint_url"]) == ("fraud", "/serving-endpoints/fraud/invocations")
    assert asked(api, f"{root}/fraud")[1] == one
    assert asked(api, f"{root}/private")[0] == 404


@pytest.mark.parametrize("base", ["/v1", "/serving-endpoints"])
def test_openai_lists_the_callers_models(api: ManagementApi, base: str) -> None:
    assert [each["id"] for each in asked(api, f"{base}/models")[1]["data"]] == ["fraud"]
    assert asked(api, f"{base}/models/fraud")[1]["id"] == "fraud"
    status, document = asked(api, f"{base}/models/private")
    assert (status, document["error"]["code"]) == (404, "model_not_found")


def test_the_open_inference_protocol_is_spoken_of_the_host(api: ManagementApi) -> None:
    assert asked(api, "/v2")[1]["name"] == "headrace"
    assert asked(api, "/v2/health/ready/")[0] == 200
    assert asked(api, "/v2/models", "bob")[1] == {"models": ["fraud", "private"]}
