"""What a model URI names, and what is said when it names nothing that can be served."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow_server
import pytest
import yaml

from headrace.components.endpoint import model_source
from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.images.model import directory_listing, local_directory, model_identity, model_layer
from headrace.images.request import ModelInput
from headrace.images.store import Store

MLMODEL = """\
flavors:
  python_function:
    loader_module: mlflow.sklearn
    python_version: 3.11.7
  sklearn: {}
model_uuid: m-1
"""


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "MLmodel").write_text(MLMODEL)
    (directory / "requirements.txt").write_text("mlflow==3.17.2\nscikit-learn==1.9.1\n")
    (directory / "model.skops").write_bytes(b"x" * 1000)
    return directory


def test_a_directory_is_a_model(logged: Path) -> None:
    source = model_source.resolve(str(logged))

    assert source.artifact_uri == str(logged)
    assert source.flavors == ("python_function", "sklearn")
    assert source.python_version == "3.11.7"
    assert source.requirements == ("mlflow==3.17.2", "scikit-learn==1.9.1")
    assert source.size_bytes == sum(path.stat().st_size for path in logged.iterdir())
    assert source.version_name == f"m-{source.identity[:10]}"


def test_a_file_uri_is_the_same_model(logged: Path) -> None:
    assert model_source.resolve(logged.as_uri()).identity == model_source.resolve(str(logged)).identity


def test_an_edit_in_place_is_another_model(logged: Path) -> None:
    before = model_source.resolve(str(logged)).identity
    (logged / "model.skops").write_bytes(b"y" * 1000)

    assert model_source.resolve(str(logged)).identity != before


def test_requirements_are_found_in_a_conda_file_too(logged: Path) -> None:
    (logged / "requirements.txt").unlink()
    (logged / "MLmodel").write_text("flavors: {python_function: {loader_module: m}}\n")
    (logged / "conda.yaml").write_text("dependencies: [python=3.10.4, pip, {pip: [mlflow, numpy<2]}]\n")

    source = model_source.resolve(str(logged))

    assert source.requirements == ("mlflow", "numpy<2")
    assert source.python_version == "3.10.4"


def test_the_python_of_a_virtualenv_file_counts_before_that_of_conda(logged: Path) -> None:
    (logged / "MLmodel").write_text("flavors: {python_function: {loader_module: m}}\n")
    (logged / "python_env.yaml").write_text("python: 3.11.2\n")
    (logged / "conda.yaml").write_text("dependencies: [python=3.10.4]\n")

    assert model_source.resolve(str(logged)).python_version == "3.11.2"


def test_what_mlflow_builds_with_and_condas_own_pins_come_before_the_requirements(logged: Path) -> None:
    (logged / "python_env.yaml").write_text("python: 3.11.2\nbuild_dependencies: [setuptools==65.5.0]\n")
    (logged / "conda.yaml").write_text("dependencies: [python=3.11.2, scikit-learn=1.5.2, mkl, {pip: [mlflow]}]\n")

    source = model_source.resolve(str(logged))

    assert source.first == ("setuptools==65.5.0", "scikit-learn==1.5.2.*")
    assert source.requirements == ("mlflow==3.17.2", "scikit-learn==1.9.1")
    assert [words in note for words, note in zip(("from PyPI", "wheels carry"), source.notes, strict=True)] == [
        True
    ] * 2


def test_a_password_among_the_requirements_goes_no_further(logged: Path) -> None:
    (logged / "requirements.txt").write_text("--extra-index-url https://me:hunter2@index.example/simple\nscorer\n")

    source = model_source.resolve(str(logged))

    assert source.requirements[1] == "scorer"
    assert "hunter2" not in repr(source)


def test_a_link_that_leads_nowhere_is_refused_before_anything_is_built(logged: Path) -> None:
    (logged / "weights").symlink_to("../blobs/gone")

    with pytest.raises(PermanentError, match=r"the symbolic link weights to \.\./blobs/gone, which does not exist"):
        model_source.resolve(str(logged))


def test_a_model_that_names_no_python_has_none(logged: Path) -> None:
    (logged / "MLmodel").write_text("flavors: {python_function: {loader_module: m}}\n")

    assert model_source.resolve(str(logged)).python_version == ""


def test_a_model_without_the_python_function_flavor_cannot_be_served(logged: Path) -> None:
    (logged / "MLmodel").write_text("flavors: {spark: {}, mleap: {}}\n")

    with pytest.raises(InputError, match=r"has the flavors mleap, spark, and only models with .*python_function"):
        model_source.resolve(str(logged))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("/nowhere/model", "/nowhere/model/MLmodel does not exist"),
        ("models:/fraud", "must be models:/NAME/VERSION"),
        ("models:/fraud/1/model", "must be models:/NAME/VERSION"),
        ("runs:/abc", "must be models:/NAME/VERSION"),
    ],
)
def test_a_uri_that_names_no_model_is_refused_with_the_forms_that_do(uri: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        model_source.resolve(uri, "http://127.0.0.1:9")


def test_a_registered_model_needs_a_tracking_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    with pytest.raises(InputError, match="set tracking_uri or MLFLOW_TRACKING_URI"):
        model_source.resolve("models:/fraud/1")


def test_a_password_is_refused_before_it_gets_into_the_state() -> None:
    with pytest.raises(InputError, match="MLFLOW_TRACKING_PASSWORD instead") as caught:
        model_source.resolve("models:/fraud/1", "https://me:hunter2@mlflow.example")

    assert "hunter2" not in str(caught.value)

    with pytest.raises(InputError, match=r"model_uri = 'ftp://…@store\.example/model' holds a password") as caught:
        model_source.resolve("ftp://me:hunter2@store.example/model")

    assert "hunter2" not in str(caught.value)


def test_a_registrys_address_is_not_taken_for_a_tracking_servers() -> None:
    with pytest.raises(InputError, match=r"tracking_uri = 'databricks-uc' is a registry's, .* set it to 'databricks'"):
        model_source.resolve("models:/main.risk.fraud/3", "databricks-uc")


@pytest.mark.slow
def test_a_scheme_that_no_store_has_is_refused_with_the_forms_that_there_are() -> None:
    with pytest.raises(InputError, match="must be models:/NAME/VERSION"):
        model_source.resolve("model:/fraud/1", "http://127.0.0.1:9")


def test_a_server_that_cannot_be_reached_is_a_temporary_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = dict(os.environ)

    with pytest.raises(TemporaryError, match=r"models:/fraud/1': the tracking server http://127\.0\.0\.1:9 cannot"):
        model_source.resolve("models:/fraud/1", "http://127.0.0.1:9")
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("source", "directory"),
    [
        ("/models/a", Path("/models/a")),
        ("models/a", Path("models/a")),
        ("file:///models/a%20b", Path("/models/a b")),
        ("mlflow-artifacts:/1/models", None),
        ("s3://bucket/a", None),
        ("models:/a/1", None),
        ("runs:/a/model", None),
    ],
)
def test_only_paths_and_file_uris_are_on_this_machine(source: str, directory: Path | None) -> None:
    assert local_directory(source) == directory


def test_a_listing_knows_sizes_and_for_local_files_contents(logged: Path) -> None:
    listed = directory_listing(logged, hashed=False)

    assert [(name, bool(digest)) for name, _, digest in listed] == [
        ("MLmodel", True),
        ("model.skops", False),
        ("requirements.txt", False),
    ]
    assert model_identity(listed) == model_identity(reversed(listed))
    assert model_identity(listed) != model_identity(directory_listing(logged, hashed=True))


# --- a real tracking server ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow tracking server that hands out artifacts itself, as a team runs one."""
    with mlflow_server.running(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


@pytest.fixture(scope="module")
def registered(server: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`echo`, version 1, alias `champion`, stage Production, logged for real in a run with 105 other models; as many
    runs have a model of its name."""
    script = tmp_path_factory.mktemp("log") / "log.py"
    script.write_text(
        """
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[str]):
        return model_input
with mlflow.start_run() as run:
    info = mlflow.pyfunc.log_model(
        name="model", python_model=Echo(), registered_model_name="echo", pip_requirements=["mlflow-skinny"]
    )
client = mlflow.MlflowClient()
client.set_registered_model_alias("echo", "champion", "1")
client.transition_model_version_stage("echo", "1", "Production")
client.create_registered_model("empty")
for number in range(105):
    client.create_logged_model(run.info.experiment_id, name=f"checkpoint-{number}", source_run_id=run.info.run_id)
    client.create_logged_model(run.info.experiment_id, name="model", source_run_id="0" * 32)
print(run.info.run_id, info.model_id)
"""
    )
    done = subprocess.run([sys.executable, str(script), server], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1].split()


@pytest.mark.slow
def test_every_form_of_uri_names_the_same_model(server: str, registered: Any) -> None:
    run, logged = registered

    sources = [
        model_source.resolve(uri, server)
        for uri in (
            "models:/echo/1",
            "models:/echo@champion",
            "models:/echo/latest",
            "models:/echo/Production",
            f"models:/{logged}",
            f"runs:/{run}/model",
        )
    ]
    sources.append(model_source.resolve(sources[0].artifact_uri, server))

    assert len({source.identity for source in sources}) == 1
    assert [source.version_name for source in sources[:4]] == ["v1"] * 4
    assert {source.pinned_uri for source in sources[:4]} == {"models:/echo/1"}
    assert {source.version_name for source in sources[4:]} == {f"m-{sources[0].identity[:10]}"}
    assert sources[0].requirements == ("mlflow-skinny",)
    assert sources[0].python_version == ".".join(map(str, sys.version_info[:3]))
    assert sources[0].artifact_uri.startswith("mlflow-artifacts:/")


@pytest.mark.slow
@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("uri", ["models:/echo/1", "models:/echo@champion"])
def test_mlflows_own_client_finds_the_same(server: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    over_rest = model_source.resolve(uri, server)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"{server}/")  # a registry of its own is left to the client

    assert model_source.resolve(uri, server) == over_rest


@pytest.mark.slow
@pytest.mark.usefixtures("registered")
def test_what_was_resolved_is_what_the_builder_downloads(server: str, tmp_path: Path) -> None:
    source = model_source.resolve("models:/echo/1", server)
    model = ModelInput(
        source=source.artifact_uri,
        tracking_uri=source.tracking_uri,
        identity=source.identity,
        python=source.python_version,
        requirements=source.requirements,
    )
    store = Store(tmp_path / "cache")

    blob, _ = model_layer(store, model, log=tmp_path / "log")

    with tarfile.open(store.path(blob.digest)) as tar:
        mlmodel = tar.extractfile("opt/model/model/MLmodel")
        assert mlmodel is not None
        assert yaml.safe_load(mlmodel.read()) == source.mlmodel
    elsewhere = replace(model, tracking_uri="http://127.0.0.1:9", identity="another")
    with pytest.raises(TemporaryError, match=r"artifacts at .* cannot be downloaded"):
        model_layer(store, elsewhere, log=tmp_path / "log")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("models:/echo/9", "the model 'echo' has no version 9; it has 1"),
        ("models:/empty/1", "the model 'empty' has no version 1; it has none"),
        ("models:/missing/1", "missing.* not found"),
        ("models:/echo@challenger", "the model 'echo' has no alias 'challenger'; it has champion"),
        ("models:/echo/Staging", "the model 'echo' has no version in the stage Staging; it has 1"),
        ("models:/echo/prod", "Invalid Model Version stage: prod"),
        ("models:/empty/latest", "the model 'empty' has no version"),
        ("runs:/0123456789abcdef0123456789abcdef/model", "does not exist|no MLmodel"),
        ("models:/m-0123456789abcdef0123456789abcdef", "not found"),
    ],
)
@pytest.mark.usefixtures("registered")
def test_what_does_not_exist_is_named_with_what_does(server: str, uri: str, words: str) -> None:
    with pytest.raises(PermanentError, match=words) as caught:
        model_source.resolve(uri, server)

    assert uri in str(caught.value)
