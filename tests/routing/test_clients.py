"""Clients that people really use, through both real Envoys to real fronts with real models."""

# ruff: noqa: PLC0415 -- clients are optional and slow to import.
# mypy: disable-error-code="import-untyped"

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from management_server import ManagementServer, item_of

from headrace.routing.management.pod_reports import PodReports
from headrace.routing.snapshot import PodAddress
from tests.runtimes import conftest as runtimes

pytestmark = pytest.mark.slow

start_front, iris_model, python_model = runtimes.start_front, runtimes.iris_model, runtimes.python_model

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
CHAT = """
from mlflow.pyfunc import ChatModel
from mlflow.types.llm import ChatChoice, ChatChoiceDelta, ChatChunkChoice, ChatCompletionChunk, ChatCompletionResponse
from mlflow.types.llm import ChatMessage

class Model(ChatModel):
    def predict(self, context, messages, params):
        message = ChatMessage(role="assistant", content=f"you said {messages[-1].content}")
        return ChatCompletionResponse(choices=[ChatChoice(index=0, message=message)])

    def predict_stream(self, context, messages, params):
        for word in messages[-1].content.split():
            delta = ChatChoiceDelta(role="assistant", content=word + " ")
            yield ChatCompletionChunk(choices=[ChatChunkChoice(index=0, delta=delta)])
"""


@pytest.fixture(scope="module")
def fronts(start_front: Any, iris_model: Path, python_model: Callable[..., Path]) -> Iterator[dict[str, PodAddress]]:
    """A pod of each endpoint."""

    def address(front: Any) -> PodAddress:
        return PodAddress("127.0.0.1", front.port)

    with (
        start_front(iris_model, HEADRACE_ENDPOINT="iris", HEADRACE_VERSION="v1") as iris,
        start_front(python_model(CHAT), HEADRACE_ENDPOINT="chat", HEADRACE_VERSION="v1") as chat,
    ):
        yield {"iris": address(iris), "chat": address(chat)}


@pytest.fixture
def served(platform: Any, fronts: dict[str, PodAddress], make_endpoint: Any, api: Any) -> Iterator[Any]:
    """The platform with both endpoints, one that only bob may call, and the management API."""
    manager = ManagementServer(PodReports(api.client(), f"127.0.0.1:{platform.options.load_balancer_port}"))
    endpoints = (*(make_endpoint(name) for name in fronts), make_endpoint("bobs", subjects=("bob",)))
    manager.items = [item_of(endpoint) for endpoint in endpoints]
    pods = {(name, "v1"): (pod,) for name, pod in fronts.items()}
    platform.publish_world(endpoints=endpoints, pods=pods, managers=(manager.address,))
    yield platform
    manager.stop()


@pytest.fixture
def host(served: Any, signer: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The PopProxy's address, set up for clients that read it from the environment."""
    address = f"https://localhost:{served.options.pop_port}"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(served.ca_file))
    monkeypatch.setenv("DATABRICKS_HOST", address)
    monkeypatch.setenv("DATABRICKS_TOKEN", signer.token())
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", signer.token())
    return address


def test_databricks_sdk(host: str, signer: Any) -> None:
    sdk = pytest.importorskip("databricks.sdk")
    from databricks.sdk.errors import BadRequest, NotFound
    from databricks.sdk.service.serving import DataframeSplitInput

    client = sdk.WorkspaceClient(host=host, token=signer.token())
    split = DataframeSplitInput(columns=COLUMNS, data=ROWS.tolist())
    response = client.serving_endpoints.query("iris", dataframe_split=split)

    assert response.predictions == [0, 2]
    assert response.served_model_name == "v1"
    with pytest.raises(BadRequest, match="exactly one of the input fields"):
        client.serving_endpoints.query("iris", inputs=[1], instances=[1])
    with pytest.raises(NotFound, match="No endpoint or version"):
        client.serving_endpoints.query("absent", inputs=[1])


def test_databricks_sdk_reads_about_endpoints(host: str, signer: Any) -> None:
    sdk = pytest.importorskip("databricks.sdk")
    from databricks.sdk.errors import DatabricksError, NotFound
    from databricks.sdk.service.serving import EndpointStateReady

    client = sdk.WorkspaceClient(host=host, token=signer.token()).serving_endpoints
    of_bob = sdk.WorkspaceClient(host=host, token=signer.token(sub="bob")).serving_endpoints

    assert [one.name for one in client.list()] == ["chat", "iris"]
    assert [one.name for one in of_bob.list()] == ["bobs", "chat", "iris"]
    iris = client.get("iris")
    assert (iris.name, iris.state.ready) == ("iris", EndpointStateReady.READY)
    assert [(one.entity_name, one.entity_version) for one in iris.config.served_entities] == [("m", "v1")]
    assert (of_bob.get("bobs").name, len(iris.config.traffic_config.routes)) == ("bobs", 1)
    for hidden in ("bobs", "absent"):
        with pytest.raises(NotFound, match=f"No endpoint '{hidden}' that you may call"):
            client.get(hidden)
    description = json.load(client.get_open_api("iris").contents)
    forms = description["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    split = forms["oneOf"][0]["properties"]["dataframe_split"]
    assert split["properties"]["columns"]["items"] == {"enum": COLUMNS}
    assert json.load(client.get_open_api("chat").contents)["info"]["title"] == "chat"
    assert "models:/m/v1" in client.build_logs("iris", "v1").logs
    for write in (
        lambda: client.delete("iris"),
        lambda: client.create(name="new"),
        lambda: client.patch("iris", delete_tags=["a"]),
        lambda: client.update_config("iris"),
    ):
        with pytest.raises(DatabricksError, match="with Pulumi"):
            write()


def test_mlflow_deployments(host: str) -> None:
    deployments = pytest.importorskip("mlflow.deployments")
    client = deployments.get_deploy_client("databricks")
    records = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS.tolist()]

    assert [one["name"] for one in client.list_endpoints()] == ["chat", "iris"]
    assert client.get_endpoint("iris")["state"]["ready"] == "READY"
    assert client.predict(endpoint="iris", inputs={"dataframe_records": records})["predictions"] == [0, 2]
    plain = deployments.get_deploy_client(host)
    assert [(one.name, one.endpoint_url) for one in plain.list_endpoints()][1] == (
        "iris",
        f"{host}/serving-endpoints/iris/invocations",
    )
    assert plain.get_endpoint("iris").model.name == "m"
    assert plain.predict(endpoint="iris", inputs={"dataframe_records": records})["predictions"] == [0, 2]
    said = {"messages": [{"role": "user", "content": "one two"}]}
    pieces = list(client.predict_stream(endpoint="chat", inputs=said))
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces) == "one two "


@pytest.mark.parametrize("base", ["/serving-endpoints/chat/v1", "/chat/v1"])
def test_openai(host: str, served: Any, signer: Any, base: str) -> None:
    library = pytest.importorskip("openai")
    import httpx

    trusting = httpx.Client(verify=ssl.create_default_context(cafile=str(served.ca_file)))
    said: list[Any] = [{"role": "user", "content": "hello you"}]
    with library.OpenAI(base_url=host + base, api_key=signer.token(), max_retries=0, http_client=trusting) as client:
        assert [model.id for model in client.models.list()] == ["chat"]
        whole = client.chat.completions.create(model="chat", messages=said)
        pieces = list(client.chat.completions.create(model="chat", messages=said, stream=True))
        with pytest.raises(library.NotFoundError, match="does not speak this protocol"):
            client.embeddings.create(model="chat", input="x")
        with pytest.raises(library.AuthenticationError):
            client.with_options(api_key="wrong").models.list()

    assert whole.choices[0].message.content == "you said hello you"
    assert "".join(piece.choices[0].delta.content for piece in pieces) == "hello you "


@pytest.mark.parametrize("base", ["/v1", "/serving-endpoints"])
def test_openai_at_the_host_itself(host: str, served: Any, signer: Any, base: str) -> None:
    library = pytest.importorskip("openai")
    import httpx

    trusting = httpx.Client(verify=ssl.create_default_context(cafile=str(served.ca_file)))
    said: list[Any] = [{"role": "user", "content": "hello you"}]
    with library.OpenAI(base_url=host + base, api_key=signer.token(), max_retries=0, http_client=trusting) as client:
        assert [model.id for model in client.models.list()] == ["chat", "iris"]
        whole = client.chat.completions.create(model="chat", messages=said)
        pieces = list(client.chat.completions.create(model="chat", messages=said, stream=True))
        with pytest.raises(library.NotFoundError, match="No endpoint has the name"):
            client.chat.completions.create(model="absent", messages=said)
        with pytest.raises(library.PermissionDeniedError):
            client.chat.completions.create(model="bobs", messages=said)
        if base == "/v1":
            assert client.models.retrieve("iris").id == "iris"
            with pytest.raises(library.NotFoundError):
                client.models.retrieve("bobs")

    assert whole.choices[0].message.content == "you said hello you"
    assert "".join(piece.choices[0].delta.content for piece in pieces) == "hello you "


@pytest.mark.filterwarnings("ignore:get_open_ai_client")  # deprecated, and still in people's programs
def test_the_client_that_databricks_sdk_makes_for_openai(
    host: str, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its base is `/serving-endpoints`, so only the body says which endpoint is asked."""
    pytest.importorskip("openai")
    sdk = pytest.importorskip("databricks.sdk")
    monkeypatch.setenv("SSL_CERT_FILE", str(served.ca_file))
    said: list[Any] = [{"role": "user", "content": "hello you"}]
    with sdk.WorkspaceClient(host=host).serving_endpoints.get_open_ai_client(max_retries=0) as client:
        whole = client.chat.completions.create(model="chat", messages=said)
        pieces = list(client.chat.completions.create(model="chat", messages=said, stream=True))

    assert (whole.model, whole.choices[0].message.content) == ("chat", "you said hello you")
    assert "".join(piece.choices[0].delta.content for piece in pieces) == "hello you "


@pytest.mark.parametrize("base", ["/serving-endpoints/iris", "/iris", ""])
@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_over_http(host: str, served: Any, signer: Any, base: str, binary: bool) -> None:
    triton = pytest.importorskip("tritonclient.http")
    from tritonclient.utils import InferenceServerException

    def context() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(served.ca_file))

    address = host.removeprefix("https://") + base
    headers = {"authorization": f"Bearer {signer.token()}"}
    tensor = triton.InferInput("rows", list(ROWS.shape), "FP64")
    tensor.set_data_from_numpy(ROWS, binary_data=binary)
    outputs = [triton.InferRequestedOutput("predictions", binary_data=binary)]
    with triton.InferenceServerClient(address, ssl=True, ssl_context_factory=context) as client:
        assert client.is_server_live(headers=headers)
        assert client.is_server_ready(headers=headers)
        assert client.is_model_ready("iris", "v1", headers=headers)
        assert client.get_server_metadata(headers=headers)["name"] == "headrace"
        assert [one["name"] for one in client.get_model_metadata("iris", headers=headers)["inputs"]] == COLUMNS
        result = client.infer("iris", [tensor], outputs=outputs, headers=headers, request_id="7")
        versioned = client.infer("iris", [tensor], model_version="v1", outputs=outputs, headers=headers)
        with pytest.raises(InferenceServerException):
            client.infer("absent", [tensor], headers=headers)
        with pytest.raises(InferenceServerException, match="token"):
            client.infer("iris", [tensor])

    assert result.get_response()["id"] == "7"
    assert versioned.as_numpy("predictions").tolist() == [0, 2]
    assert result.as_numpy("predictions").tolist() == [0, 2]


@pytest.mark.parametrize("named", [{"headrace-endpoint": "iris"}, {}], ids=["metadata", "message"])
def test_tritonclient_over_grpc(host: str, served: Any, signer: Any, named: dict[str, str]) -> None:
    triton = pytest.importorskip("tritonclient.grpc")
    from tritonclient.utils import InferenceServerException

    bare = {"authorization": f"Bearer {signer.token()}"}
    headers = {**bare, **named}
    tensor = triton.InferInput("rows", list(ROWS.shape), "FP64").set_data_from_numpy(ROWS)
    address, authority = host.removeprefix("https://"), str(served.ca_file)
    with triton.InferenceServerClient(address, ssl=True, root_certificates=authority) as client:
        assert client.is_server_live(headers=headers)
        assert client.is_server_ready(headers=headers)
        assert client.is_model_ready("iris", "v1", headers=headers)
        assert client.get_server_metadata(headers=headers).name == "headrace"
        described = client.get_model_metadata("iris", headers=headers, as_json=True)
        result = client.infer("iris", [tensor], headers=headers, request_id="7", client_timeout=30)
        versioned = client.infer("iris", [tensor], model_version="v1", headers=headers, compression_algorithm=None)
        refusals = []
        for name, sent in (
            ("iris", {}),
            ("iris", {**headers, "headrace-endpoint": "absent"}),
            ("absent", headers),
            ("bobs", bare),
            ("iris", {**headers, "headrace-endpoint": "chat"}),
        ):
            with pytest.raises(InferenceServerException) as caught:
                client.infer(name, [tensor], headers=sent)
            refusals.append(caught.value.status().removeprefix("StatusCode."))

    assert [one["name"] for one in described["inputs"]] == COLUMNS
    assert result.get_response().id == "7"
    assert result.as_numpy("predictions").tolist() == [0, 2]
    assert versioned.as_numpy("predictions").tolist() == [0, 2]
    assert refusals == ["UNAUTHENTICATED", "NOT_FOUND", "NOT_FOUND", "PERMISSION_DENIED", "NOT_FOUND"]
