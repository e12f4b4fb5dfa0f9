"""Tracking servers over their REST API: who is asked how, and what is said when they refuse. The real MLflow answers in
tests/components/endpoint/test_model_source.py."""

import datetime
import ipaddress
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import certifi
import pytest
import tracking_stand_in
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tracking_stand_in import FILES, TrackingStandIn

from headrace.images.mlflow_rest import RestServer
from headrace.images.tracking import UNKNOWN_REQUEST, LoggedModel, TrackingError
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


def _run(server: TrackingStandIn, models: list[tuple[str, str]], *, filters_runs: bool = True) -> None:
    """A run `r1` of a server that knows these logged models by name and run, the newest first, two on a page."""

    def search(asked: Mapping[str, Any]) -> Any:
        start = int(asked.get("page_token", 0))
        wanted = re.findall(r"(\w+) = '([^']*)'", asked["filter"])
        listed = [
            {"info": {"name": name, "source_run_id": run, "artifact_uri": f"mlflow-artifacts:/models/{number}"}}
            for number, (name, run) in enumerate(models)
            if all({"name": name, "source_run_id": run}[field] == value for field, value in wanted)
        ]
        more = {"next_page_token": str(start + 2)} if start + 2 < len(listed) else {}
        return {"models": listed[start : start + 2], **more}

    def refusing(asked: Mapping[str, Any]) -> Any:
        return (
            search(asked)
            if "source_run_id" not in asked["filter"]
            else (400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "no such filter"})
        )

    info = {"experiment_id": "7", "artifact_uri": "mlflow-artifacts:/7/r1/artifacts"}
    server.answers["runs/get"] = lambda asked: {"run": {"info": info}}
    server.answers["logged-models/search"] = search if filters_runs else refusing


@pytest.mark.parametrize("filters_runs", [True, False])
def test_a_runs_model_is_found_among_many_by_name_and_run(server: TrackingStandIn, filters_runs: bool) -> None:
    others = [(f"checkpoint-{number}", "r1") for number in range(105)] + [
        ("final", f"r{number}") for number in range(2, 9)
    ]
    _run(server, [*others, ("final", "r1"), ("final", "r1")], filters_runs=filters_runs)

    found = tracking_server(server.uri).model_of_run("r1", "final")

    assert found == LoggedModel(name="final", location="mlflow-artifacts:/models/112")  # the newer of the two


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("final", "mlflow-artifacts:/models/0"),
        ("final/inner", "mlflow-artifacts:/models/0/inner"),
        ("other", "mlflow-artifacts:/7/r1/artifacts/other"),
        ("old.style/model", "mlflow-artifacts:/7/r1/artifacts/old.style/model"),
    ],
)
def test_what_is_no_logged_model_is_among_the_runs_artifacts(server: TrackingStandIn, path: str, location: str) -> None:
    _run(server, [("final", "r1")])

    assert tracking_server(server.uri).model_of_run("r1", path).location == location


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_of_before_logged_models_has_them_among_the_runs_artifacts(
    server: TrackingStandIn, status: int
) -> None:
    _run(server, [])
    server.answers["logged-models/search"] = lambda asked: (status, None)

    found = tracking_server(server.uri).model_of_run("r1", "model")

    assert found == LoggedModel(name="model", location="mlflow-artifacts:/7/r1/artifacts/model")


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_server_that_fails_is_not_taken_for_an_older_one(server: TrackingStandIn, status: int) -> None:
    _run(server, [("model", "r1")])
    server.answers["logged-models/search"] = lambda asked: (status, None)

    with pytest.raises(TrackingError, match=f"HTTP {status}"):
        tracking_server(server.uri).model_of_run("r1", "model")


def test_all_pages_of_versions_are_read(server: TrackingStandIn) -> None:
    def page(asked: Mapping[str, Any]) -> Any:
        start = int(asked.get("page_token", 0))
        more = {"next_page_token": str(start + 100)} if start < 200 else {}
        return {"model_versions": [{"version": str(start + number)} for number in range(1, 101)], **more}

    server.answers |= {"registered-models/get": lambda asked: {}, "model-versions/search": page}

    assert tracking_server(server.uri).versions("fraud") == list(range(1, 301))


def test_a_web_page_is_not_taken_for_an_answer(server: TrackingStandIn) -> None:
    server.answers["runs/get"] = lambda asked: (200, None)

    with pytest.raises(TrackingError, match="must be MLflow's JSON") as caught:
        tracking_server(server.uri).model_of_run("r1", "model")

    assert caught.value.code in UNKNOWN_REQUEST


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, Path]:
    """An authority's certificate, and a certificate with its key for server and client alike."""
    found = {}
    now = datetime.datetime.now(datetime.UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "both")}
    for name, key in keys.items():
        subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)]) for who in (name, "authority"))
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
            now + datetime.timedelta(1)
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=name == "authority", path_length=None), critical=True)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        pem = builder.sign(keys["authority"], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        found[name] = tmp_path / f"{name}.pem"
        found[name].write_bytes(pem if name == "authority" else pem + secret)
    return found


def test_a_server_behind_a_private_authority_that_wants_a_certificate_is_asked_with_one(
    certificates: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the machine has other authorities for everything else."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates["authority"])
    context.load_cert_chain(certificates["both"])
    context.verify_mode = ssl.CERT_REQUIRED
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificates["authority"]))
    with tracking_stand_in.serving(TrackingStandIn(), tls=context) as server:
        with pytest.raises(TrackingError):
            tracking_server(server.uri).version("fraud", "1")
        monkeypatch.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", str(certificates["both"]))

        assert tracking_server(server.uri).version("fraud", "1").name == "fraud"


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
