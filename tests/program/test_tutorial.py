"""docs/tutorial.md is the sixth example, its changes to the program run, and the model that it trains is registered."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from stand_ins import FOUND, KUBECONFIG

from headrace.components.testing import Recording, record

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "06-own-cluster"
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
PROGRAM = (EXAMPLE / "__main__.py").read_text()


def blocks(language: str) -> list[str]:
    """The page's code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def changes() -> list[str]:
    """Programs as they are after each change that the page tells of."""
    found = []
    for block in blocks("python"):
        name, assigned, _ = block.partition(" = ")
        if assigned and name in {"fraud", "platform"}:
            before = re.search(rf"^{name} = .*$", PROGRAM, re.MULTILINE)
            assert before
            found.append(PROGRAM.replace(before[0], block))
    return found


def run(program: str, tmp_path: Path) -> Recording:
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(KUBECONFIG))
    config = {
        "headrace:kubeconfig": str(tmp_path / "kubeconfig"),
        "headrace:registry": "registry.example.com/models",
        "headrace:host": "models.example.com",
        "headrace:model_uri": "models:/fraud/2",
    }
    return record(lambda: exec(compile(program, "tutorial", "exec"), {}), config=config, answers=FOUND)


@pytest.mark.parametrize("name", ["train.py", "__main__.py", "Pulumi.yaml"])
def test_the_page_shows_the_examples_files_word_for_word(name: str) -> None:
    assert (EXAMPLE / name).read_text() in blocks("yaml" if name.endswith("yaml") else "python")


def test_the_commands_that_deploy_are_those_of_the_example() -> None:
    _, _, steps = (EXAMPLE / "README.md").read_text().partition("python train.py\n")

    assert steps.partition("```")[0] in blocks("sh")


def test_settings_are_those_that_the_program_reads() -> None:
    told = set(re.findall(r"^pulumi config set (\w+)", PAGE, re.MULTILINE))

    assert told == set(re.findall(r'require\("(\w+)"\)', PROGRAM))


@pytest.mark.usefixtures("stand_in_images")
def test_every_change_of_the_program_runs_and_keeps_the_endpoint(tmp_path: Path) -> None:
    changed = changes()

    assert len(changed) == 3
    for program in changed:
        url = run(program, tmp_path).exports["url"]
        assert re.fullmatch(r"https://models.example.com(:30443)?/serving-endpoints/fraud", url)


@pytest.mark.usefixtures("stand_in_images")
def test_bounds_and_callers_of_the_page_reach_the_objects(tmp_path: Path) -> None:
    bounds, access, _ = (run(program, tmp_path) for program in changes())

    (scaler,) = bounds.of_kind("AutopilotPodAutoscaler")
    (quota,) = bounds.of_kind("ResourceQuota")
    (endpoint,) = [each for each in access.of_kind("ModelEndpoint") if each.type.startswith("kubernetes:")]
    assert (scaler.inputs["spec"]["minReplicas"], scaler.inputs["spec"]["maxReplicas"]) == (2, 10)
    assert quota.inputs["spec"]["hard"]["limits.cpu"] == "10000m"
    assert endpoint.inputs["spec"]["access"]["subjects"] == ["system:serviceaccount:shop:web"]


@pytest.mark.slow
def test_training_twice_registers_two_versions_that_answer_the_pages_request(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": store, "MLFLOW_REGISTRY_URI": store}
    for _ in range(2):
        subprocess.run([sys.executable, EXAMPLE / "train.py"], cwd=tmp_path, env=environment, check=True)

    (body,) = re.findall(r"-d '(.*)' ", PAGE)
    ask = (
        "import json, sys, mlflow, numpy;"
        "model = mlflow.pyfunc.load_model('models:/fraud/2');"
        "print(model.predict(numpy.array(json.loads(sys.argv[1])['inputs'])).tolist())"
    )
    answered = subprocess.run(
        [sys.executable, "-c", ask, body], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert answered.stdout.strip() in {"[0]", "[1]"}
