"""The golden table: MLmodel files and the runtime each gets."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from headrace.components.endpoint.selection.choice import Runtime, RuntimeRequest
from headrace.components.endpoint.selection.select import select
from headrace.contract.errors import InputError
from headrace.contract.runtime import Protocol

HERE = Path(__file__).parent
TABLE: list[dict[str, Any]] = yaml.safe_load((HERE / "mlmodels.yaml").read_text())
FLAVORS = {
    *("sklearn", "xgboost", "lightgbm", "catboost", "onnx", "pytorch", "tensorflow", "keras", "transformers"),
    *("sentence_transformers", "statsmodels", "prophet", "spacy", "langchain", "python_function"),
}


def saved(name: str, changed: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The MLmodel file that MLflow wrote for that model, with these values at these dotted keys; null removes one."""
    made: dict[str, Any] = yaml.safe_load((HERE / "mlmodels" / f"{name}.yaml").read_text())
    for path, value in changed.items():
        *outer, last = path.split(".")
        place = made
        for key in outer:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return made


SKLEARN = saved("sklearn")
CHAT = saved("transformers-chat", {"model_size_bytes": 14_500_000_000})


@pytest.mark.parametrize("row", TABLE, ids=[row["name"] for row in TABLE])
def test_golden_table(row: dict[str, Any]) -> None:
    choice = select(saved(row["file"], row.get("changed", {})), RuntimeRequest(**row.get("request", {})))
    runtime, gpus, words = row["expect"]

    assert (choice.runtime, choice.gpus) == (runtime, gpus), choice.reasons
    assert words in "; ".join(choice.reasons)
    command = () if choice.engine is None else choice.engine.command
    assert set(row.get("arguments", ())) <= set(command)


def test_the_table_has_real_files_of_every_flavor() -> None:
    files = {row["file"] for row in TABLE}

    assert files == {path.stem for path in (HERE / "mlmodels").glob("*.yaml")}
    assert len(files) >= 25
    assert {flavor for name in files for flavor in saved(name)["flavors"]} >= FLAVORS


def test_the_choice_depends_on_nothing_but_its_arguments() -> None:
    assert select(CHAT) == select(CHAT)


def test_an_override_wins_where_it_can() -> None:
    assert select(SKLEARN, RuntimeRequest(kind=Runtime.TRITON)).runtime is Runtime.TRITON
    own = RuntimeRequest(kind=Runtime.CUSTOM, command=("serve", "{port}"), protocol=Protocol.OPENAI)
    assert select(SKLEARN, own).runtime is Runtime.CUSTOM


def test_how_long_tritons_python_may_start_is_left_to_the_pods_startup_probe() -> None:
    python = select(SKLEARN, RuntimeRequest(kind=Runtime.TRITON)).engine
    graph = select({"flavors": {"onnx": {}}}).engine
    assert python is not None
    assert graph is not None

    assert "--backend-config=python,stub-timeout-seconds=3600" in python.command
    assert not [word for word in graph.command if word.startswith("--backend-config")]


def test_an_override_that_cannot_work_says_what_can() -> None:
    with pytest.raises(InputError, match=r"runtime = vllm, cannot serve .*choose one of custom, mlflow, triton"):
        select(SKLEARN, RuntimeRequest(kind=Runtime.VLLM))


def test_a_model_without_python_function_is_refused_with_the_remedy() -> None:
    with pytest.raises(InputError, match=r"must hold python_function; log it with"):
        select({"flavors": {"sklearn": {}}})


def test_what_the_deployer_constrains_is_kept() -> None:
    choice = select(CHAT, RuntimeRequest(gpus=4))
    assert choice.engine is not None

    assert choice.gpus == 4
    assert "--tensor-parallel-size=4" in choice.engine.command
