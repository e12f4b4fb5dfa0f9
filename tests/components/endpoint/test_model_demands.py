"""What a model says that it needs, and what an endpoint does not grant."""

from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from mlflow.models import Model
from mlflow.models.auth_policy import AuthPolicy, SystemAuthPolicy, UserAuthPolicy
from mlflow.models.resources import DatabricksServingEndpoint, DatabricksVectorSearchIndex
from stand_ins import DELIVERY

from headrace.components import ModelEndpoint
from headrace.components.endpoint.endpoint_egress import EgressRule
from headrace.components.endpoint.model_demands import not_granted
from headrace.components.testing import record

WORKSPACE = EgressRule(host="dbc-1.cloud.databricks.com", ports=(443,))
FULL = ("DATABRICKS_HOST", "DATABRICKS_TOKEN")
LLM, INDEX = DatabricksServingEndpoint("llama"), DatabricksVectorSearchIndex("rag.docs.index")


def logged(tmp_path: Path, **said: Any) -> dict[str, Any]:
    """The MLmodel file that MLflow itself writes."""
    model = Model(**said)
    model.add_flavor("python_function", loader_module="mlflow.pyfunc.model")
    model.save(str(tmp_path / "MLmodel"))
    found: dict[str, Any] = yaml.safe_load((tmp_path / "MLmodel").read_text())
    return found


def test_a_model_that_names_nothing_asks_for_nothing(tmp_path: Path) -> None:
    assert not_granted(logged(tmp_path), (), ()) == []


def test_resources_of_databricks_need_a_workspace_credentials_and_a_way_there(tmp_path: Path) -> None:
    mlmodel = logged(tmp_path, resources=[LLM, INDEX])

    (sentence,) = not_granted(mlmodel, (), ())
    assert sentence == (
        "The model needs of Databricks serving endpoint 'llama', vector search index 'rag.docs.index'; what is not "
        "granted: environment[DATABRICKS_HOST]; environment[DATABRICKS_TOKEN] or environment[DATABRICKS_CLIENT_ID] and "
        "environment[DATABRICKS_CLIENT_SECRET]; egress to the workspace on port 443"
    )
    assert not_granted(mlmodel, FULL, [WORKSPACE]) == []
    client = ("DATABRICKS_HOST", "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET")
    assert not_granted(mlmodel, client, [WORKSPACE]) == []


@pytest.mark.parametrize(
    ("environment", "egress", "missing"),
    [
        (FULL[:1], [WORKSPACE], "environment[DATABRICKS_TOKEN] or"),
        (FULL[1:], [WORKSPACE], "environment[DATABRICKS_HOST]"),
        (FULL, [], "egress to the workspace"),
        (FULL, [EgressRule(cidr="10.0.0.0/8", ports=(5432,))], "egress to the workspace"),
        ((*FULL[:1], "DATABRICKS_CLIENT_ID"), [WORKSPACE], "environment[DATABRICKS_TOKEN] or"),
    ],
)
def test_what_alone_is_missing_is_told_alone(
    tmp_path: Path, environment: tuple[str, ...], egress: list[EgressRule], missing: str
) -> None:
    (sentence,) = not_granted(logged(tmp_path, resources=[LLM]), environment, egress)

    assert sentence.partition("what is not granted: ")[2].startswith(missing)
    assert sentence.count(";") == 1


def test_a_policy_of_the_model_names_resources_too_and_rights_of_its_caller(tmp_path: Path) -> None:
    policy = AuthPolicy(UserAuthPolicy(["sql"]), SystemAuthPolicy([LLM]))
    needed, as_caller = not_granted(logged(tmp_path, auth_policy=policy), (), ())

    assert "serving endpoint 'llama'" in needed
    assert "the scope 'sql' as its caller" in as_caller


def test_a_resource_that_is_used_as_the_caller_cannot_be_granted(tmp_path: Path) -> None:
    mlmodel = logged(tmp_path, resources=[DatabricksServingEndpoint("llama", on_behalf_of_user=True)])

    (sentence,) = not_granted(mlmodel, FULL, [WORKSPACE])
    assert sentence.startswith("The model uses serving endpoint 'llama' as its caller")


def test_variables_that_the_model_read_when_it_was_logged_are_asked_for(tmp_path: Path) -> None:
    mlmodel = logged(tmp_path, env_vars=["OPENAI_API_KEY", "INDEX_TOKEN"])

    (sentence,) = not_granted(mlmodel, ("OPENAI_API_KEY",), ())
    assert sentence.startswith("The model read INDEX_TOKEN from its environment when it was logged")
    assert not_granted(mlmodel, ("OPENAI_API_KEY", "INDEX_TOKEN"), ()) == []


@pytest.mark.parametrize(
    ("mlmodel", "kind"),
    [
        ({"flavors": {"openai": {}, "python_function": {}}}, "Models of the flavor openai"),
        ({"flavors": {"langchain": {}, "python_function": {}}}, "Models of the flavor langchain"),
        ({"flavors": {"python_function": {}}, "metadata": {"task": "agent/v1/responses"}}, "Agents of the class Resp"),
    ],
)
def test_a_model_that_mostly_calls_others_is_asked_for_its_egress(mlmodel: dict[str, Any], kind: str) -> None:
    (sentence,) = not_granted(mlmodel, (), ())

    assert sentence.startswith(kind)
    assert "egress is not given" in sentence
    assert not_granted(mlmodel, (), [EgressRule(host="api.openai.com", ports=(443,))]) == []


def test_the_preview_says_what_is_not_granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged(tmp_path, env_vars=["INDEX_TOKEN", "OTHER"])
    (tmp_path / "requirements.txt").write_text("mlflow==3.17.2\n")
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda sentence, *_: told.append(sentence))
    ref: Any = {"namespace": "n", "url": "https://models.example", "image_delivery": DELIVERY, "image_base": {}}

    def program() -> None:
        given: Any = {"platform": ref, "model_uri": "models:/agent/7", "environment": {"OTHER": "x"}}
        ModelEndpoint("agent", given)

    record(program, models={"models:/agent/7": tmp_path}, preview=True)

    assert told == [
        "The model read INDEX_TOKEN from its environment when it was logged, and environment does not give it that; "
        "add it if the model needs it to answer"
    ]


@pytest.mark.parametrize(
    "broken",
    [
        {"resources": None},
        {"resources": "all"},
        {"resources": {"databricks": {"function": [None, "x", {}]}}},
        {"env_vars": "environment_variables.txt", "auth_policy": []},
        {"flavors": {"python_function": {}}, "metadata": {}},
    ],
)
def test_a_file_that_says_it_in_another_way_is_no_failure(broken: Any) -> None:
    assert not_granted(broken, (), ()) == []
