"""The registries that teams have, for real where they can run here: MLflow's earlier servers, one that wants a
password, an object store that speaks S3. Databricks is a stand-in."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloud_stores
import mlflow_server
import package_cache
import pytest
from databricks_stand_in import DatabricksStandIn
from object_store import KINDS, object_store
from tracking_stand_in import FILES, serving

from headrace.components.endpoint import model_source
from headrace.contract.errors import InputError, PermanentError
from headrace.images.model import model_layer
from headrace.images.request import ModelInput
from headrace.images.store import Store

pytestmark = pytest.mark.slow

S3_PACKAGES = ("boto3==1.44.8",)
CLOUD_PACKAGES = {
    "google": ("google-cloud-storage==3.17.1", "gcp-storage-emulator==2026.7.19"),
    "azure": ("azure-storage-blob==12.31.1", "azure-identity==1.27.0"),
}
WASBS = f"wasbs://{cloud_stores.BUCKET}@{cloud_stores.ACCOUNT}.blob.core.windows.net"
LOG = """
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
requirements = ["mlflow-skinny"]
with mlflow.start_run() as run:
    mlflow.pyfunc.log_model(
        artifact_path="model", python_model=Echo(), registered_model_name="echo", pip_requirements=requirements
    )
    mlflow.pyfunc.log_model(artifact_path="models/final", python_model=Echo(), pip_requirements=requirements)
client = mlflow.MlflowClient()
client.set_registered_model_alias("echo", "champion", "1")
client.transition_model_version_stage("echo", "1", "Production")
print(run.info.run_id)
"""
RESOLVE = """
import json, sys
from dataclasses import replace
from pathlib import Path
from headrace.components.endpoint import model_source
from headrace.contract.errors import HeadraceError
from headrace.images.model import model_layer
from headrace.images.request import ModelInput
from headrace.images.store import Store
def told(uri, scratch):
    try:
        found = model_source.resolve(uri)
        model = ModelInput(source=found.artifact_uri, identity=found.identity, python="3.11.7", requirements=())
        model_layer(Store(scratch / "cache"), model, log=scratch / "log")
        return [found.name, found.artifact_uri, found.size_bytes]
    except HeadraceError as error:
        return [type(error).__name__, str(error)]
print(json.dumps([told(uri, Path(sys.argv[1])) for uri in sys.argv[2:]]))
"""


@pytest.mark.parametrize("version", ["2.9.2", "2.14.3"])
def test_a_server_of_an_earlier_mlflow_is_asked_as_its_own_client_asks_it(version: str, tmp_path: Path) -> None:
    python = mlflow_server.python_with(version)
    with mlflow_server.running(tmp_path, python=python) as uri:
        log = [str(python), "-c", LOG, uri]
        run = subprocess.run(log, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split()[-1]
        named = ["models:/echo/1", "models:/echo@champion", "models:/echo/latest", "models:/echo/production"]

        sources = [model_source.resolve(model_uri, uri) for model_uri in [*named, f"runs:/{run}/model"]]
        final = model_source.resolve(f"runs:/{run}/models/final", uri)

        assert len({(source.identity, source.artifact_uri) for source in sources}) == 1
        assert [source.version_name for source in sources[:4]] == ["v1"] * 4
        assert final.artifact_uri == sources[0].artifact_uri.removesuffix("/model") + "/models/final"
        with pytest.raises(PermanentError, match=r"has no such request .* that its release knows what the URI names"):
            model_source.resolve("models:/m-0123456789abcdef0123456789abcdef", uri)


def test_a_server_that_wants_a_password_is_given_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "auth.ini"
    settings.write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{tmp_path}/auth.db\n"
        "admin_username = me\nadmin_password = correct-horse-battery\n"
    )
    more = {
        "PYTHONPATH": str(package_cache.folder("flask-wtf", "--no-deps", "Flask-WTF==1.3.0", "WTForms==3.2.1")),
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "for this test",
    }
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with mlflow_server.running(tmp_path, "--app-name=basic-auth", environment=more) as uri:
        with pytest.raises(
            PermanentError, match=r"refused access .* set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USER"
        ):
            model_source.resolve("models:/echo/1", uri)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct-horse-battery")

        with pytest.raises(PermanentError, match=r"does not exist on the tracking server .*echo"):
            model_source.resolve("models:/echo/1", uri)


@pytest.fixture(params=KINDS)
def s3(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """An object store that speaks S3, with a model; the environment in which clients find it."""
    site = package_cache.folder("s3", *S3_PACKAGES)
    # Consoles make folders as empty objects; a name with a space has to be quoted on its way.
    objects = {f"team/fraud/{name}": content for name, content in FILES.items()}
    objects |= {"team/fraud/": b"", "team/fraud/data/": b"", "team/fraud/data/two words.txt": b"x"}
    with object_store(request.param, bucket="models", objects=objects) as store:
        yield {**os.environ, **store.environment, "PYTHONPATH": f"{site}:{os.environ.get('PYTHONPATH', '')}"}


def _resolved(scratch: Path, environment: dict[str, str], *uris: str) -> list[list[Any]]:
    command = [sys.executable, "-c", RESOLVE, str(scratch), *uris]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=scratch)
    told: list[list[Any]] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_directory_in_an_object_store_is_a_model_without_any_server(s3: dict[str, str], tmp_path: Path) -> None:
    size = sum(len(content) for content in FILES.values()) + 1
    uris = ("s3://models/team/fraud", "s3://models/team/missing", "s3://nobodys/model")

    found, (missing, no_model), (strange, no_bucket) = _resolved(tmp_path, s3, *uris)

    assert found == ["fraud", "s3://models/team/fraud", size]
    assert missing == strange == "PermanentError"
    assert "has no MLmodel file at s3://models/team/missing" in no_model
    assert "bucket does not exist" in no_bucket


@pytest.mark.parametrize(("cloud", "store"), [("google", "gs://models"), ("azure", WASBS)])
def test_so_is_one_in_google_s_store_or_azure_s(cloud: str, store: str, tmp_path: Path) -> None:
    site = package_cache.folder(cloud, *CLOUD_PACKAGES[cloud])
    objects = {f"team/fraud/{name}": content for name, content in FILES.items()} | {"team/fraud/two words.txt": b"x"}
    running = cloud_stores.google(site, objects) if cloud == "google" else cloud_stores.azure(objects)
    with running as variables:
        environment = {**os.environ, **variables, "PYTHONPATH": f"{site}:{os.environ.get('PYTHONPATH', '')}"}
        uris = (f"{store}/team/fraud", f"{store}/team/missing")

        found, (missing, no_model) = _resolved(tmp_path, environment, *uris)

    assert found == ["fraud", f"{store}/team/fraud", sum(len(content) for content in FILES.values()) + 1]
    assert missing == "PermanentError"
    assert f"has no MLmodel file at {store}/team/missing" in no_model


def test_an_object_store_that_does_not_know_who_asks_names_the_variables(tmp_path: Path) -> None:
    site = package_cache.folder("s3", *S3_PACKAGES)
    nobody = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    nobody |= {"PYTHONPATH": str(site), "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}

    ((kind, said),) = _resolved(tmp_path, nobody, "s3://models/team/fraud")

    assert kind == "PermanentError"
    assert "refused access to s3://models/team/fraud" in said
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said


@pytest.fixture
def databricks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DatabricksStandIn]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DATABRICKS_TOKEN", "secret")
    with serving(DatabricksStandIn()) as workspace:
        monkeypatch.setenv("DATABRICKS_HOST", workspace.uri)
        yield workspace


@pytest.mark.parametrize(
    "uri", ["models:/main.risk.fraud/3", "models:/main.risk.fraud@champion", "models:/main.risk.fraud/latest"]
)
def test_a_model_of_the_unity_catalog_is_pinned_to_its_version_and_can_be_built(
    databricks: DatabricksStandIn, uri: str, tmp_path: Path
) -> None:
    found = model_source.resolve(uri, "databricks")

    assert found.artifact_uri == found.pinned_uri == "models:/main.risk.fraud/3"
    assert found.version_name == "v3"
    assert found.size_bytes == sum(len(content) for content in FILES.values())
    assert {headers.get("Authorization") for headers in databricks.headers if "Authorization" in headers} == {
        "Bearer secret"
    }
    model = ModelInput(
        source=found.artifact_uri,
        tracking_uri=found.tracking_uri,
        identity=found.identity,
        python=found.python_version,
        requirements=found.requirements,
    )
    model_layer(Store(tmp_path / "cache"), model, log=tmp_path / "log")
    assert not list(tmp_path.glob("*.db")), "no database of MLflow's own beside the program"


@pytest.mark.usefixtures("databricks")
@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("models:/main.risk.fraud/9", "the model 'main.risk.fraud' has no version 9; it has 3"),
        ("models:/main.risk.fraud@nobody", "the model 'main.risk.fraud' has no alias 'nobody'"),
        ("models:/main.risk.missing/1", "does not exist on the tracking server databricks"),
        ("models:/main.risk.fraud/Production", "the Unity Catalog has no stages such as 'Production'"),
    ],
)
def test_what_the_unity_catalog_does_not_have_is_named(uri: str, words: str) -> None:
    with pytest.raises(PermanentError, match=words):
        model_source.resolve(uri, "databricks")


@pytest.mark.usefixtures("databricks")
def test_the_registry_may_be_another_server_than_the_tracking_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "databricks-uc")

    found = model_source.resolve("models:/main.risk.fraud@champion", "http://127.0.0.1:9")

    assert found.pinned_uri == "models:/main.risk.fraud/3"
    with pytest.raises(InputError, match="needs a tracking server"):
        model_source.resolve("models:/main.risk.fraud/3")
