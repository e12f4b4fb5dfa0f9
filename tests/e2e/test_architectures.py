"""Images for several processors on a real cluster, whose one node is of one: what runs there, and what cannot."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from live_platform import Platform

from headrace.components.cluster.node_facts import node_facts
from headrace.contract import names
from headrace.contract.errors import HeadraceError
from headrace.images.architecture import of_this_machine
from headrace.images.oci import INDEX
from headrace.images.store import Store, cache_directory
from headrace.local import tracking_server

LOG_WITH_A_LIBRARY = """
import pathlib, sys, tempfile
import mlflow
mlflow.set_experiment("headrace-tests")
uri, machine = sys.argv[1], int(sys.argv[2])
requirements = mlflow.pyfunc.get_model_dependencies(uri)  # an environment that is built already
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    (folder / "scorer").mkdir()
    header = b"\\x7fELF\\x02\\x01\\x01" + bytes(9) + b"\\x03\\x00" + machine.to_bytes(2, "little") + bytes(44)
    script = folder / "model.py"
    script.write_text(
        "import mlflow\\n"
        "class Model(mlflow.pyfunc.PythonModel):\\n"
        "    def predict(self, context, model_input, params=None):\\n"
        "        return ['served']\\n"
        "mlflow.models.set_model(Model())\\n"
    )
    versions = []
    for content in (b"", header):  # of any machine, and of another one
        (folder / "scorer" / "fast.so").write_bytes(content)
        with mlflow.start_run():
            made = mlflow.pyfunc.log_model(
                name="model", python_model=str(script), code_paths=[str(folder / "scorer")],
                registered_model_name="compiled", pip_requirements=requirements,
            )
        versions.append(str(made.registered_model_version))
print("versions", *versions)  # last: MLflow prints where to look at the run when that ends
"""
OTHER_MACHINE = {"amd64": ("aarch64", 183), "arm64": ("x86_64", 62)}[of_this_machine()]


def affinity(platform: Platform, endpoint: str) -> list[str]:
    """Processors of the nodes to which the endpoint's pods may go."""
    asked = ["-n", names.endpoint_namespace(endpoint), "get", "deployments", "-o", "json"]
    (deployment,) = json.loads(platform.kubectl(*asked))["items"]
    wanted = deployment["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (term,) = wanted["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    found: list[str] = term["matchExpressions"][0]["values"]
    return found


def image(platform: Platform, endpoint: str) -> str:
    asked = ["-n", names.endpoint_namespace(endpoint), "get", "pods", "-o"]
    return platform.kubectl(*asked, "jsonpath={.items[0].spec.containers[0].image}")


def test_the_nodes_say_what_they_are(platform: Platform) -> None:
    kubeconfig = yaml.safe_load(Path(platform.description["kubeconfig"]).read_text())

    assert node_facts(kubeconfig).architectures == (of_this_machine(),)
    assert affinity(platform, platform.description["endpoint"]) == [of_this_machine()]


def test_an_image_for_both_architectures_answers_under_one_index_digest(platform: Platform) -> None:
    both = {"name": "both", "model_uri": platform.model.model_uri, "architectures": ["amd64", "arm64"]}
    platform.stack.up(platform.settings([platform.endpoint, both]))

    answer = platform.ask(platform.model.request, path="/serving-endpoints/both/invocations")
    assert answer.json == {"predictions": platform.model.expected}
    assert affinity(platform, "both") == ["amd64", "arm64"]
    reference = image(platform, "both")
    document = json.loads(Store(cache_directory()).path(reference.partition("@")[2]).read_bytes())
    assert document["mediaType"] == INDEX
    assert [entry["platform"]["architecture"] for entry in document["manifests"]] == ["amd64", "arm64"]
    usual = image(platform, platform.description["endpoint"]).partition("@")[2]
    assert usual in {entry["digest"] for entry in document["manifests"]}, "the same image as of the one alone"


def test_a_version_with_a_library_for_another_processor_is_refused_and_the_one_before_serves(
    platform: Platform,
) -> None:
    machine, number = OTHER_MACHINE
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    logged = subprocess.run(
        [sys.executable, "-c", LOG_WITH_A_LIBRARY, platform.model.model_uri, str(number)],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    first, second = logged.stdout.split()[-2:]

    def settings(version: str) -> dict[str, Any]:
        return platform.settings([platform.endpoint, {"name": "compiled", "model_uri": f"models:/compiled/{version}"}])

    platform.stack.up(settings(first))

    with pytest.raises(HeadraceError) as caught:
        platform.stack.up(settings(second))

    said = " ".join(str(caught.value).split())  # Pulumi breaks lines
    assert f"The model's file code/scorer/fast.so is compiled for {machine}, and an image for" in said
    assert "log the model with such a file in code_paths, or set architectures to what the file is for" in said
    assert "Traceback" not in said
    answer = platform.ask({"inputs": [[1.0]]}, path="/serving-endpoints/compiled/invocations")
    assert answer.json == {"predictions": ["served"]}
