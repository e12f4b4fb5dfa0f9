"""What a model is before it is tried."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import python_mirror
import yaml

from headrace.cli import candidate
from headrace.cli.candidate import Candidate, ModelFault, example_path
from headrace.contract.errors import InputError, PermanentError

MLMODEL: dict[str, Any] = {
    "flavors": {"python_function": {"loader_module": "mlflow.sklearn", "python_version": "3.11.7"}, "sklearn": {}},
    "saved_input_example_info": {"artifact_path": "a.json", "serving_input_path": "s.json"},
}


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's directory, and an empty cache."""
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "weights").write_text("1")
    (folder / "s.json").write_text('{"inputs": [1]}')
    (folder / "requirements.txt").write_text("six\n")
    write(folder, MLMODEL)
    return folder


def write(folder: Path, mlmodel: Any) -> None:
    (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))


def of_python(version: str) -> Any:
    flavors = {"python_function": {"loader_module": "mlflow.sklearn", "python_version": version}, "sklearn": {}}
    return {**MLMODEL, "flavors": flavors}


def test_it_says_what_would_be_deployed(saved: Path) -> None:
    found = Candidate.resolved(str(saved), "", None)

    assert found.choice.runtime == "mlflow"
    assert found.allotment.memory_mib == 832
    assert found.start_seconds >= 120
    assert found.request.base.python == "3.11"
    assert found.request.model is not None
    assert found.request.model.requirements == ("six",)
    with found.files() as directory:
        assert directory == saved


def test_a_request_that_is_given_is_the_example_of_a_directory_beside_the_models_own(
    saved: Path, tmp_path: Path
) -> None:
    given = tmp_path / "given.json"
    given.write_text('{"inputs": [2]}')

    with Candidate.resolved(str(saved), "", given).files() as directory:
        path = example_path(directory)
        assert path is not None
        assert json.loads(path.read_text()) == {"inputs": [2]}
        assert (directory / "data" / "weights").read_text() == "1"
        assert yaml.safe_load((directory / "MLmodel").read_text())["flavors"] == MLMODEL["flavors"]

    assert not directory.exists()
    assert json.loads((saved / "s.json").read_text()) == {"inputs": [1]}
    assert yaml.safe_load((saved / "MLmodel").read_text()) == MLMODEL


def test_a_model_of_a_python_that_no_worker_runs_on_is_at_fault(saved: Path) -> None:
    write(saved, of_python("3.7.16"))

    with pytest.raises(ModelFault, match=r"logged with Python 3\.7\.16, must be 3\.8 or later"):
        Candidate.resolved(str(saved), "", None).environment()


@pytest.mark.parametrize("version", ["3.9.1", "3.12.4"])
def test_a_python_that_debian_lacks_lies_beside_that_of_the_front(saved: Path, version: str) -> None:
    write(saved, of_python(version))

    request = Candidate.resolved(str(saved), "", None).request
    assert request.base.python == "3.11"
    assert request.model is not None
    assert request.model.python == version


@pytest.mark.slow
@pytest.mark.skipif(python_mirror.version_of("3.9") is None, reason="no Python 3.9 in ~/.pyenv/versions")
def test_a_model_is_tried_on_the_python_that_it_was_logged_with_where_this_machine_has_it(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(saved, of_python("3.9.1"))
    program = python_mirror.program(python_mirror.version_of("3.9") or "")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))

    made = Candidate.resolved(str(saved), "", None).environment()

    said = "import six, sys; print(*sys.version_info[:2], six.__file__)"
    told = subprocess.run([made.python, "-c", said], capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"3 9 {made.python.parents[1]}")
    assert made.note == ""


def test_a_model_that_an_engine_serves_is_not_tried(saved: Path) -> None:
    write(saved, {"flavors": {"onnx": {}}})

    with pytest.raises(PermanentError, match="would be served by triton"):
        Candidate.resolved(str(saved), "", None)


def test_an_interpreter_that_nobody_has_is_replaced_and_said() -> None:
    path, minor, note = candidate._interpreter("3.99")

    assert path.exists()
    assert minor == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert "no Python 3.99 was found" in note


def test_an_example_of_long_ago_has_no_file_of_its_request(saved: Path) -> None:
    write(saved, {**MLMODEL, "saved_input_example_info": {"artifact_path": "a.json"}})
    assert example_path(saved) is None
    write(saved, {"flavors": {}})
    assert example_path(saved) is None


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", '{"inputs": '])
def test_a_request_that_is_no_json_is_refused_with_its_file(saved: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "rows").write_text(text)

    with pytest.raises(InputError, match=f"--input = {tmp_path / 'rows'}, must hold a JSON request"):
        Candidate.resolved(str(saved), "", tmp_path / "rows")
