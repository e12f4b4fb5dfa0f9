"""Models of MLflow's releases, in environments and on Pythons of their years: answered as their own MLflow does. The
one that this repository has installed is asked more, in test_differential.py.

Where an interpreter is not at hand (pyenv's are looked for), the one that runs here takes its place.

Left out are what the platform wants otherwise (docs/runtimes.md): wrong inputs are 400 where MLflow says 500, and
MLflow 1 answered without `predictions`, to tables without the name of their form.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import python_mirror

from tests.runtimes.worker.test_differential import alike

pytestmark = pytest.mark.slow

HERE = Path(__file__)
ENVIRONMENTS = {
    "1.30.1": ["scikit-learn==1.2.2", "pandas==1.5.3", "numpy==1.24.4", "scipy==1.10.1", "setuptools==69.5.1"],
    "2.5.0": ["scikit-learn==1.2.2", "pandas==2.0.3", "numpy==1.24.4", "scipy==1.11.4", "setuptools==69.5.1"],
    "2.9.2": ["scikit-learn==1.3.2", "pandas==2.1.4", "numpy==1.26.4", "setuptools==69.5.1"],
    "2.14.3": ["scikit-learn==1.4.2", "pandas==2.2.3", "numpy==1.26.4", "setuptools==69.5.1"],
    "2.20.3": ["scikit-learn==1.5.2", "pandas==2.2.3", "numpy==2.2.6"],
    "3.4.0": ["scikit-learn==1.7.2", "pandas==2.3.3", "numpy==2.2.6", "fastapi==0.116.2", "httpx==0.28.1"],
    "3.17.2": ["scikit-learn==1.7.2", "pandas==2.3.3", "numpy==2.3.4", "httpx==0.28.1"],
}
PYTHONS = {"1.30.1": "3.8", "2.5.0": "3.9", "2.9.2": "3.10", "2.20.3": "3.12", "3.4.0": "3.10", "3.17.2": "3.13"}
"""The minor version of Python with which a model of that MLflow was likely logged; else the one that runs here."""


def python_with(version: str) -> Path:
    """An interpreter with that MLflow, in the cache; made when it is missing."""
    of_its_year = python_mirror.version_of(PYTHONS.get(version, ""))
    interpreter = sys.executable if of_its_year is None else str(python_mirror.program(of_its_year))
    wanted = json.dumps([f"mlflow=={version}", *ENVIRONMENTS[version]])
    folder = Path(os.environ.get("HEADRACE_CACHE", Path.home() / ".cache" / "headrace")) / "engines"
    root = folder / f"mlflow-{version}-{of_its_year or platform.python_version()}"
    python, done = root / "bin" / "python", root / ".complete"
    if not done.exists() or done.read_text() != wanted:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "--allow-existing", "--python", interpreter, str(root)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *json.loads(wanted)], check=True)
        done.write_text(wanted)
    return python


@pytest.mark.parametrize("version", ENVIRONMENTS)
def test_models_of_each_release_are_answered_as_their_own_mlflow_answers_them(version: str, tmp_path: Path) -> None:
    program = [
        str(python_with(version)),
        str(HERE.parents[1] / "release_scoring.py"),
        str(HERE.parents[3] / "runtimes"),
    ]
    done = subprocess.run([*program, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    assert told.pop("mlflow") == version
    assert told["line"]["merges"], told["line"]["reason"]
    assert told["line"]["example"] == 200
    examples = told.pop("examples")
    assert len(examples) >= (6 if version.startswith("1.") else 8), examples
    for name, theirs, ours in examples:
        [answer] = json.loads(ours).get("predictions", ["null"])
        assert json.loads(answer) == theirs, f"{name}: MLflow {theirs}, our request {ours}"
    for name, model in told.items():
        answered = 0
        for body, (their_status, theirs), (status, ours) in model["answers"]:
            where = f"{name}: {body}\nMLflow: {their_status} {theirs}\nours: {status} {ours}"
            if version.startswith("1."):
                assert status in (200, 400), where
                answered += status == 200
                continue
            assert status == (400 if their_status == 500 else their_status), where
            if status == 200:
                answered += 1
                assert alike(json.loads(theirs), json.loads(ours)), where
            else:
                assert json.loads(ours)["message"], where
        assert answered >= 4, name
