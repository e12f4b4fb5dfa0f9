"""Clients that people really use, against a real front."""

# ruff: noqa: PLC0415 -- clients are optional and slow to import.

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import numpy as np
import pytest

pytestmark = pytest.mark.slow

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])


@pytest.fixture
def triton(iris_front: Any) -> Any:
    http = pytest.importorskip("tritonclient.http")
    with http.InferenceServerClient(iris_front.url.removeprefix("http://")) as client:
        yield client


def test_tritonclient_reads_health_and_metadata(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("model")
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    described = triton.get_model_metadata("model")
    assert [column["name"] for column in described["inputs"]] == COLUMNS
    assert {column["datatype"] for column in described["inputs"]} == {"FP64"}


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_infers_with_a_matrix(triton: Any, binary: bool) -> None:
    from tritonclient import http

    tensor = http.InferInput("rows", list(ROWS.shape), "FP64")
    tensor.set_data_from_numpy(ROWS, binary_data=binary)
    outputs = [http.InferRequestedOutput("predictions", binary_data=binary)]
    result = triton.infer("model", [tensor], outputs=outputs, request_id="7")

    assert result.get_response()["id"] == "7"
    assert result.as_numpy("predictions").tolist() == [0, 2]


def test_tritonclient_infers_with_its_defaults_and_one_tensor_a_column(triton: Any) -> None:
    from tritonclient import http

    inputs = []
    for at, name in enumerate(COLUMNS):
        tensor = http.InferInput(name, [2], "FP64")
        tensor.set_data_from_numpy(ROWS[:, at].copy())
        inputs.append(tensor)

    result = triton.infer("model", inputs)

    assert result.as_numpy("predictions").dtype == np.int64
    assert result.as_numpy("predictions").tolist() == [0, 2]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_tritonclient_packs_its_requests(triton: Any, algorithm: str) -> None:
    from tritonclient import http

    tensor = http.InferInput("rows", list(ROWS.shape), "FP64").set_data_from_numpy(ROWS)
    result = triton.infer("model", [tensor], request_compression_algorithm=algorithm)

    assert result.as_numpy("predictions").tolist() == [0, 2]


def test_tritonclient_reads_refusals(triton: Any) -> None:
    from tritonclient import http
    from tritonclient.utils import InferenceServerException

    tensor = http.InferInput("rows", [1, 3], "FP64")
    tensor.set_data_from_numpy(ROWS[:1, :3].copy())
    with pytest.raises(InferenceServerException, match="3 columns, the model has 4"):
        triton.infer("model", [tensor])
    with pytest.raises(InferenceServerException, match="no model of this name"):
        triton.infer("other", [tensor])


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v2/models/other", "GET", 404),
        ("/v2/models/model/versions/v9", "GET", 404),
        ("/v2/models/model/versions/v7", "GET", 200),
        ("/v2/models/model/infer", "GET", 405),
        ("/v2/nothing", "GET", 404),
        ("/v2/models/model/infer", "POST", 400),
        ("/v2/models/model", "HEAD", 200),
        ("/v2/models/model", "POST", 405),
        ("/v2", "POST", 405),
        ("/v2/health/ready", "POST", 405),
        ("/v2/health/ready", "HEAD", 200),
        ("/v2/health/live", "GET", 200),
        ("/v2/models", "GET", 200),
    ],
)
def test_open_inference_refusals_have_one_shape(iris_front: Any, path: str, method: str, status: int) -> None:
    response = httpx.request(method, iris_front.url + path)

    assert response.status_code == status
    if status >= 400:
        assert list(response.json()) == ["error"]


@pytest.fixture
def workspace(iris_front: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What the proxy does for the Databricks clients, without its TLS: the path becomes the pod's."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            assert self.path == "/serving-endpoints/iris/invocations"
            body = self.rfile.read(int(self.headers["content-length"]))
            response = iris_front.post(body, self.headers["content-type"])
            self.send_response(response.status_code)
            for name in ("content-type", "content-length", "served-model-name", "x-request-id"):
                self.send_header(name, response.headers[name])
            self.end_headers()
            self.wfile.write(response.content)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DATABRICKS_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("DATABRICKS_TOKEN", "token")
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_databricks_sdk(workspace: str) -> None:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.errors import BadRequest
    from databricks.sdk.service.serving import DataframeSplitInput

    client = WorkspaceClient(host=workspace, token="token")
    split = DataframeSplitInput(columns=COLUMNS, data=ROWS.tolist())
    response = client.serving_endpoints.query("iris", dataframe_split=split)

    assert response.predictions == [0, 2]
    assert response.served_model_name == "v7"
    with pytest.raises(BadRequest, match="exactly one of the input fields"):
        client.serving_endpoints.query("iris", inputs=[1], instances=[1])


def test_mlflow_deployments(workspace: str) -> None:
    import mlflow.deployments

    client = mlflow.deployments.get_deploy_client("databricks")
    records = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS.tolist()]

    assert client.predict(endpoint="iris", inputs={"dataframe_records": records})["predictions"] == [0, 2]
