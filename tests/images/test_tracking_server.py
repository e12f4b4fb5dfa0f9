"""Tracking servers over their REST API: who is asked how, and what is said when they refuse. The real MLflow answers in
tests/components/endpoint/test_model_source.py."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tracking_stand_in
from tracking_stand_in import FILES, TrackingStandIn

from headrace.images.mlflow_rest import RestServer
from headrace.images.tracking import LoggedModel, TrackingError
from headrace.images.tracking_server import artifact_store, tracking_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackingStandIn]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    with tracking_stand_in.running() as found:
        yield found


def test_a_version_is_where_the_server_says(server: TrackingStandIn) -> None:
    found = tracking_server(f"{server.uri}/").version("fraud", "1")

    assert found == LoggedModel(name="fraud", location="mlflow-artifacts:/0/models/fraud/artifacts")


def test_all_files_come_in_their_folders(server: TrackingStandIn, tmp_path: Path) -> None:
    store = artifact_store("mlflow-artifacts:/0/models/fraud/artifacts", server.uri)

    folder = store.fetch_all(tmp_path)

    assert dict(store.files()) == {path: len(content) for path, content in FILES.items()}
    assert {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    } == FILES


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, None),
        ({"MLFLOW_TRACKING_TOKEN": "t"}, "Bearer t"),
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "p"}, "Basic bWU6cA=="),
    ],
)
def test_the_server_is_told_who_asks(
    server: TrackingStandIn, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], sent: str | None
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    tracking_server(server.uri).version("fraud", "1")

    assert {headers.get("Authorization") for headers in server.headers} == {sent}


def test_a_server_that_is_busy_is_asked_again_and_not_for_ever(server: TrackingStandIn) -> None:
    server.failures = [503, 503]
    assert tracking_server(server.uri).version("fraud", "1").name == "fraud"

    server.failures = [503] * 9
    with pytest.raises(TrackingError, match="HTTP 503"):
        tracking_server(server.uri).version("fraud", "1")
    assert len(server.failures) == 9 - 3


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND")])
def test_a_refusal_that_is_not_mlflows_has_a_code_of_mlflows(server: TrackingStandIn, status: int, code: str) -> None:
    server.failures = [status]

    with pytest.raises(TrackingError, match=f"HTTP {status}") as caught:
        tracking_server(server.uri).version("fraud", "1")

    assert caught.value.code == code


def test_a_listing_cannot_lead_out_of_the_models_directory(
    server: TrackingStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tracking_stand_in, "FILES", {"..": b"out"})

    with pytest.raises(TrackingError, match=r"the path '\.\.'"):
        artifact_store("mlflow-artifacts:/0/models/fraud/artifacts", server.uri).fetch_all(tmp_path / "model")


@pytest.mark.slow
def test_an_ordinary_server_is_asked_without_loading_mlflow(server: TrackingStandIn) -> None:
    program = (
        "import sys; from headrace.images.tracking_server import tracking_server as t;"
        "print(t(sys.argv[1]).version('fraud', '1').name, 'mlflow' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program, server.uri], capture_output=True, text=True, check=True)

    assert ran.stdout == "fraud False\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uri", "variables"),
    [
        ("sqlite:///{folder}/mlflow.db", {}),
        ("http://127.0.0.1:9", {"MLFLOW_TRACKING_AUTH": "plugin"}),
        ("http://127.0.0.1:9", {"MLFLOW_REGISTRY_URI": "http://127.0.0.1:10"}),
    ],
)
def test_what_only_mlflows_client_speaks_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert not isinstance(tracking_server(uri.format(folder=tmp_path)), RestServer)
