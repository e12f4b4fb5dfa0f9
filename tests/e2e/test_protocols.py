"""Each protocol from outside to the model and back, with the clients that people use."""

# ruff: noqa: PLC0415 -- clients are optional and slow to import.
# mypy: disable-error-code="import-untyped"

import ssl
from typing import Any

import numpy as np
import pytest
from live_platform import Platform


def _address(platform: Platform) -> str:
    return str(platform.description["url"]).removeprefix("https://")


def _inputs(platform: Platform, library: Any) -> list[Any]:
    """One tensor a column."""
    split = platform.model.request["dataframe_split"]
    columns = np.array(split["data"], dtype=np.float64).T
    made = []
    for name, column in zip(split["columns"], columns, strict=True):
        made.append(library.InferInput(name, [len(column)], "FP64"))
        made[-1].set_data_from_numpy(column.copy())
    return made


def test_tritonclient_over_grpc(platform: Platform) -> None:
    triton = pytest.importorskip("tritonclient.grpc")
    from tritonclient.utils import InferenceServerException

    name = platform.description["endpoint"]
    headers = {"authorization": f"Bearer {platform.description['token']}", "headrace-endpoint": name}
    authority = platform.description["ca_file"]
    with triton.InferenceServerClient(_address(platform), ssl=True, root_certificates=authority) as client:
        assert client.is_server_ready(headers=headers)
        assert client.is_model_ready(name, headers=headers)
        described = client.get_model_metadata(name, headers=headers, as_json=True)
        result = client.infer(name, _inputs(platform, triton), headers=headers)
        versioned = client.infer(name, _inputs(platform, triton), headers={**headers, "headrace-version": "v1"})
        with pytest.raises(InferenceServerException) as stranger:
            client.infer(name, _inputs(platform, triton), headers={"headrace-endpoint": name})
        with pytest.raises(InferenceServerException) as lost:
            client.infer(name, _inputs(platform, triton), headers={**headers, "headrace-endpoint": "unheard-of"})

    assert len(described["inputs"]) == len(platform.model.request["dataframe_split"]["columns"])
    output = result.get_response().outputs[0].name
    assert result.as_numpy(output).tolist() == platform.model.expected
    assert versioned.as_numpy(output).tolist() == platform.model.expected
    assert stranger.value.status() == "StatusCode.UNAUTHENTICATED"
    assert lost.value.status() == "StatusCode.NOT_FOUND"


def test_tritonclient_over_http(platform: Platform) -> None:
    triton = pytest.importorskip("tritonclient.http")
    name = platform.description["endpoint"]
    headers = {"authorization": f"Bearer {platform.description['token']}"}

    def context() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=platform.description["ca_file"])

    address = f"{_address(platform)}/serving-endpoints/{name}"
    with triton.InferenceServerClient(address, ssl=True, ssl_context_factory=context) as client:
        assert client.is_model_ready(name, headers=headers)
        result = client.infer(name, _inputs(platform, triton), headers=headers)

    output = result.get_response()["outputs"][0]["name"]
    assert result.as_numpy(output).tolist() == platform.model.expected


def test_openai_is_told_what_is_there_and_what_is_not(platform: Platform) -> None:
    library = pytest.importorskip("openai")
    import httpx

    name = platform.description["endpoint"]
    trusting = httpx.Client(verify=ssl.create_default_context(cafile=platform.description["ca_file"]))
    base, token = f"{platform.description['url']}/{name}/v1", platform.description["token"]
    with library.OpenAI(base_url=base, api_key=token, max_retries=0, http_client=trusting) as client:
        assert [model.id for model in client.models.list()] == [name]
        with pytest.raises(library.NotFoundError, match="does not speak this protocol"):
            client.chat.completions.create(model=name, messages=[{"role": "user", "content": "x"}])


def test_the_body_names_the_endpoint_where_the_address_does_not(platform: Platform) -> None:
    library = pytest.importorskip("openai")
    import httpx

    name, said = platform.description["endpoint"], [{"role": "user", "content": "x"}]
    trusting = httpx.Client(verify=ssl.create_default_context(cafile=platform.description["ca_file"]))
    base, token = f"{platform.description['url']}/serving-endpoints", platform.description["token"]
    with library.OpenAI(base_url=base, api_key=token, max_retries=0, http_client=trusting) as client:
        with pytest.raises(library.NotFoundError, match="This model does not speak this protocol"):  # the pod's words
            client.chat.completions.create(model=name, messages=said)
        with pytest.raises(library.NotFoundError, match="No endpoint has the name"):  # the PopProxy's
            client.chat.completions.create(model="unheard-of", messages=said)


def test_databricks_clients(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = pytest.importorskip("databricks.sdk")
    import mlflow.deployments

    name, token = platform.description["endpoint"], platform.description["token"]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", platform.description["ca_file"])
    monkeypatch.setenv("DATABRICKS_HOST", platform.description["url"])
    monkeypatch.setenv("DATABRICKS_TOKEN", token)
    records = [
        dict(zip(platform.model.request["dataframe_split"]["columns"], row, strict=True))
        for row in platform.model.request["dataframe_split"]["data"]
    ]
    asked = sdk.WorkspaceClient(host=platform.description["url"], token=token).serving_endpoints.query(
        name, dataframe_records=records
    )
    client = mlflow.deployments.get_deploy_client("databricks")

    assert asked.predictions == platform.model.expected
    assert asked.served_model_name == "v1"
    predicted = client.predict(endpoint=name, inputs={"dataframe_records": records})
    assert predicted["predictions"] == platform.model.expected
