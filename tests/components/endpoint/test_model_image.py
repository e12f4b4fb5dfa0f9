"""ModelImage, recorded: what it registers, what a preview knows, and what it refuses."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from headrace.components.endpoint import model_source
from headrace.components.endpoint.model_image import ModelImage, ModelImageArgs, image_name
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record
from headrace.contract.errors import PermanentError

DELIVERY = {"kind": "containerd", "address": "/run/c.sock"}
IMAGE = "headrace.local/models/fraud@sha256:" + "a" * 64
BUILD = "pulumi-python:dynamic/headrace:ImageBuild"
SOURCE = model_source.ModelSource(
    uri="models:/fraud@champion",
    name="Fraud Model",
    version_name="v7",
    artifact_uri="s3://bucket/m-1/artifacts",
    tracking_uri="http://mlflow",
    flavors=("python_function", "sklearn"),
    python_version="3.11.7",
    requirements=("mlflow==3.17.2",),
    constraints=(),
    size_bytes=43_009,
    identity="i-1",
    mlmodel={"flavors": {"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": {}}},
)


@pytest.fixture(autouse=True)
def tracking_server(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Knows one model; keeps what it was asked."""
    asked = []

    def resolve(model_uri: str, tracking_uri: str = "") -> model_source.ModelSource:
        asked.append((model_uri, tracking_uri))
        if model_uri == "models:/fraud/9":
            raise PermanentError("the model 'fraud' has no version 9; it has 7")
        return SOURCE

    monkeypatch.setattr(model_source, "resolve", resolve)
    return asked


def _record(args: Any, *, preview: bool = False, source: model_source.ModelSource | None = None) -> Recording:
    def program() -> ModelImage:
        image = ModelImage("fraud", args, source=source)
        pulumi.export("image", image.image)
        pulumi.export("version", image.version_name)
        return image

    return record(program, answers={BUILD: {"image": IMAGE, "digest": "sha256:" + "a" * 64}}, preview=preview)


def _args(**changes: Any) -> ModelImageArgs:
    args: Any = {
        "model_uri": "models:/fraud@champion",
        "tracking_uri": "http://mlflow",
        "delivery": DELIVERY,
        **changes,
    }
    result: ModelImageArgs = args
    return result


def test_one_build_belongs_to_the_component_and_gives_its_outputs() -> None:
    recording = _record(_args())

    component = recording.named("fraud")
    (build,) = recording.children(component)
    assert component.type == "headrace:index:ModelImage"
    assert (build.type, build.name) == (BUILD, "fraud-build")
    assert recording.outputs[component.urn] == {"image": IMAGE, "digest": "sha256:" + "a" * 64}
    assert recording.exports == {"image": IMAGE, "version": "v7"}


def test_a_preview_shows_which_model_would_be_built() -> None:
    inputs = _record(_args(), preview=True).named("fraud-build").inputs

    assert inputs["model"] == "models:/fraud@champion"
    assert inputs["version"] == "v7"
    assert inputs["python"] == "3.11.7"
    assert inputs["size_bytes"] == 43_009
    assert inputs["request"]["name"] == "models/fraud-model"
    assert inputs["request"]["model"]["identity"] == "i-1"
    assert inputs["request"]["model"]["source"] == "s3://bucket/m-1/artifacts"


def test_a_preview_says_what_will_be_otherwise_than_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda message, _resource: said.append(message))
    source = replace(
        SOURCE, first=("setuptools==65.5.0",), notes=("not installed, since PyPI does not have it: r-base",)
    )

    inputs = _record(_args(), preview=True, source=source).named("fraud-build").inputs

    assert inputs["notes"] == list(source.notes)
    assert inputs["request"]["model"]["first"] == ["setuptools==65.5.0"]
    assert said == [f"the environment differs from the one of training: {source.notes[0]}"]


def test_an_engine_has_an_environment_of_its_own() -> None:
    source = replace(SOURCE, first=("setuptools==65.5.0",), notes=("a note",))
    engine = {"kind": "custom", "image": "server:1", "command": ["serve", "{port}"], "protocol": "openai"}

    inputs = _record(_args(runtime=engine), source=source).named("fraud-build").inputs

    assert (inputs["notes"], inputs["request"]["model"]["first"]) == ([], [])


def test_version_and_model_are_plain_for_who_names_resources_after_them() -> None:
    image = _record(_args()).returned

    assert image.version_name == "v7"
    assert image.source is SOURCE


def test_the_destination_may_come_from_another_resource() -> None:
    recording = _record(_args(delivery=pulumi.Output.from_input(DELIVERY), base=pulumi.Output.from_input({})))

    assert recording.named("fraud-build").inputs["request"]["delivery"]["address"] == "/run/c.sock"


def test_the_tracking_server_is_asked_once_and_by_name(tracking_server: list[tuple[str, str]]) -> None:
    _record(_args())

    assert tracking_server == [("models:/fraud@champion", "http://mlflow")]


def test_every_fault_is_reported_at_once_and_nothing_is_registered(tracking_server: list[tuple[str, str]]) -> None:
    args: Any = {"model_url": "x", "delivery": {"kind": "containerd"}, "base": {"python": "2"}}
    with pytest.raises(ArgsError) as caught:
        _record(args)

    for words in ("'model_url'", "model_uri is missing", "address is missing", "python = '2'"):
        assert words in str(caught.value)
    assert tracking_server == []


def test_a_model_that_cannot_be_served_stops_the_program_with_one_line() -> None:
    with pytest.raises(ArgsError, match="ModelImage 'fraud': the model 'fraud' has no version 9; it has 7"):
        _record(_args(model_uri="models:/fraud/9"))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("fraud", "fraud"),
        ("Fraud Model", "fraud-model"),
        ("main.team.fraud_v2", "main-team-fraud-v2"),
        ("__", "model"),
    ],
)
def test_any_models_name_becomes_a_name_for_an_image(model: str, name: str) -> None:
    assert image_name(model) == name
