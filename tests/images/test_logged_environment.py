"""What MLflow would install for a model, from the files that its releases have written."""

import pytest

from headrace.contract.errors import InputError
from headrace.images.logged_environment import LoggedEnvironment, credentials_in, read

ORDINARY = """\
python: 3.11.7
build_dependencies:
- pip==23.2.1
- setuptools==65.5.0
- wheel
dependencies:
- -r requirements.txt
"""


def test_what_an_ordinary_model_is_built_with_comes_first() -> None:
    found = read({"python_env.yaml": ORDINARY, "requirements.txt": "mlflow==2.9.2\nnumpy\n"})

    assert found.requirements == ("mlflow==2.9.2", "numpy")
    assert found.first == ("pip==23.2.1", "setuptools==65.5.0", "wheel")
    assert found.notes == ()


def test_an_older_model_has_what_conda_puts_into_every_environment() -> None:
    conda = "dependencies: [python=3.11.4, pip<=23.2.1, {pip: [mlflow, numpy<2]}]"

    found = read({"conda.yaml": conda})

    assert found == LoggedEnvironment(
        requirements=("mlflow", "numpy<2"),
        first=("pip<=23.2.1", "setuptools", "wheel"),
        conda=("python=3.11.4", "pip<=23.2.1"),
    )


def test_pins_of_condas_own_are_kept_beside_the_requirements_that_mlflow_took_from_pip() -> None:
    conda = "channels: [conda-forge]\ndependencies: [python=3.11, scikit-learn=1.5.2, pip, {pip: [mlflow]}]"

    found = read({"conda.yaml": conda, "python_env.yaml": ORDINARY, "requirements.txt": "mlflow\n"})

    assert found.requirements == ("mlflow",)
    assert found.first == ("pip==23.2.1", "setuptools==65.5.0", "wheel", "scikit-learn==1.5.2.*")
    assert "scikit-learn=1.5.2 as scikit-learn==1.5.2.*" in found.notes[0]


def test_requirements_that_python_env_lists_itself_count() -> None:
    listed = {"python_env.yaml": "dependencies: [numpy, scorer==1]"}

    assert read(listed).requirements == ("numpy", "scorer==1")
    both = {"python_env.yaml": "dependencies: [-r requirements.txt, scorer==1]", "requirements.txt": "numpy"}
    assert read(both).requirements == ("numpy", "scorer==1")


def test_a_model_with_requirements_alone_has_those_alone() -> None:
    texts = {"requirements.txt": "\ufeffnumpy\r\n-c constraints.txt", "constraints.txt": "scipy<2"}

    assert read(texts) == LoggedEnvironment(requirements=("numpy", "-c constraints.txt"), constraints=("scipy<2",))


def test_no_line_holds_a_password_and_the_files_still_tell_it() -> None:
    texts = {
        "requirements.txt": "--extra-index-url https://me:hunter2@index.example/simple\nscorer",
        "constraints.txt": "a @ https://t0ken@git.example/a.whl",
    }

    found = read(texts)

    assert found.requirements[0] == "--extra-index-url https://${HEADRACE_CREDENTIAL_1}@index.example/simple"
    assert found.constraints == ("a @ https://${HEADRACE_CREDENTIAL_2}@git.example/a.whl",)
    assert credentials_in(texts) == {"HEADRACE_CREDENTIAL_1": "me:hunter2", "HEADRACE_CREDENTIAL_2": "t0ken"}


def test_what_is_said_of_a_private_channel_holds_no_password() -> None:
    (note,) = read({"conda.yaml": "channels: [https://me:pw1@c.example/t/t0ken/x]\ndependencies: [numpy]"}).notes

    assert "https://****@c.example/t/****/x" in note


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("conda.yaml", "dependencies: [numpy=1|2]", "conda.yaml's 'numpy=1|2' names versions"),
        ("python_env.yaml", "a: [", "python_env.yaml cannot be read as YAML"),
    ],
)
def test_what_cannot_be_had_is_refused_by_its_name(file: str, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read({file: text})

    assert words in str(caught.value)
