"""The input `runtime`: its rules, and what comes of it for image, pods and object."""

from typing import Any

import pytest

from headrace.components.endpoint.endpoint_packages import Packages
from headrace.components.endpoint.model_image import _request
from headrace.components.endpoint.model_source import ModelSource
from headrace.components.endpoint.runtime_choice import choose, runtime_faults
from headrace.components.endpoint.selection.choice import Runtime
from headrace.contract.errors import InputError

SKLEARN: dict[str, Any] = {"flavors": {"sklearn": {}, "python_function": {"python_version": "3.11.7"}}}
ONNX: dict[str, Any] = {"flavors": {"onnx": {"data": "model.onnx"}, "python_function": {"python_version": "3.11.7"}}}
CHAT: dict[str, Any] = {
    "flavors": {"transformers": {"task": "text-generation", "model_binary": "model"}, "python_function": {}},
    "model_size_bytes": 14_000_000_000,
}


def image_request(mlmodel: dict[str, Any], runtime: dict[str, Any]) -> dict[str, Any]:
    source = ModelSource(
        uri="models:/m/1",
        name="m",
        version_name="v1",
        artifact_uri="s3://m",
        tracking_uri="",
        flavors=(),
        python_version="3.11.7",
        requirements=("scikit-learn==1.9.1",),
        constraints=("numpy<3",),
        size_bytes=1,
        identity="i",
        mlmodel=mlmodel,
    )
    known = ({"kind": "kind", "cluster": "c"}, {}, [])
    return _request(source, choose(mlmodel, runtime), [], Packages(), known)


def test_nothing_said_means_what_follows_from_the_model() -> None:
    assert choose(SKLEARN, {}).runtime is Runtime.MLFLOW
    assert choose(CHAT, {}).runtime is Runtime.VLLM
    assert choose(ONNX, {"gpus": 1}).runtime is Runtime.TRITON


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"kind": "tensorrt"}, "kind = 'tensorrt', must be one of mlflow, vllm, triton, custom"),
        ({"knid": "vllm"}, "knid"),
        ({"gpus": -1}, "gpus = -1"),
        ({"command": ["serve", "{port}"]}, "is for kind = 'custom' only"),
        ({"kind": "custom", "protocol": "rest"}, "must be one of invocations, open-inference, openai"),
        ({"image_python": "3.12.1"}, "must be a minor version"),
    ],
)
def test_a_wrong_input_says_what_would_do(given: dict[str, Any], fault: str) -> None:
    assert any(fault in one for one in runtime_faults(given))


def test_a_server_of_the_users_own_that_cannot_be_reached_is_refused() -> None:
    with pytest.raises(InputError, match=r"must hold \{port\}.*protocol is missing"):
        choose(SKLEARN, {"kind": "custom", "command": ["serve"]})


def test_an_engine_has_an_environment_of_its_own_in_the_image() -> None:
    own = image_request(SKLEARN, {})["model"]
    vllm = image_request(CHAT, {})["model"]
    triton = image_request(SKLEARN, {"kind": "triton"})["model"]

    assert own["requirements"] == ["scikit-learn==1.9.1"]
    assert (vllm["requirements"], vllm["constraints"]) == (["vllm==0.32.0"], [])
    assert triton["requirements"] == ["scikit-learn==1.9.1", "nvidia-pytriton==0.7.0"]


def test_an_engines_image_lies_under_our_layers() -> None:
    onnx = image_request(ONNX, {"gpus": 1})
    named = image_request(CHAT, {"image": "docker.io/vllm/vllm-openai:v0.32.0", "image_python": "3.12"})

    assert onnx["base"]["reference"].startswith("nvcr.io/nvidia/tritonserver:")
    assert (onnx["model"]["requirements"], onnx["model"]["python"]) == ([], "3.12")
    assert named["base"]["reference"] == "docker.io/vllm/vllm-openai:v0.32.0"
    assert named["base"]["python_path"] == "/usr/bin/python3.12"
