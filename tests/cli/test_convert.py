"""`headrace convert` from a file and from standard input."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.cli.__main__ import app

SERVICE = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: fraud
spec:
  predictor:
    maxReplicas: 3
    model:
      modelFormat: {name: mlflow}
      storageUri: s3://models/fraud
"""


def test_the_program_is_printed_and_what_became_of_each_value_told_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    path.write_text(SERVICE + "  explainer: {'[red]\\a': {}}\n")
    done = CliRunner().invoke(app, ["convert", str(path)])

    assert done.exit_code == 1
    compile(done.stdout, "program", "exec")
    assert '"scale": {"max_replicas": 3}' in done.stdout
    rows = {line.split()[1]: line for line in done.stderr.splitlines()}
    assert rows["spec.predictor.maxReplicas"].split()[2:] == ["mapped", "scale.max_replicas"]
    assert "not mapped" in rows["spec.explainer"]
    assert "\a" not in done.stderr


def test_scripts_get_json_and_status_0_where_nothing_is_lost() -> None:
    given = ["convert", "-", "--json", "--model-uri", "s3://models/day=7"]
    done = CliRunner().invoke(app, given, input=SERVICE)

    document = json.loads(done.stdout)
    assert done.exit_code == 0
    assert document["format"] == "kserve"
    assert document["endpoints"][0]["inputs"] == {"model_uri": "s3://models/day=7", "scale": {"max_replicas": 3}}
    assert {"source": "metadata.name", "outcome": "mapped", "input": "name", "reason": ""} in document["endpoints"][0][
        "findings"
    ]


def test_a_uri_may_be_for_one_name() -> None:
    done = CliRunner().invoke(app, ["convert", "-", "--json", "--model-uri", "fraud=models:/fraud/7"], input=SERVICE)

    assert json.loads(done.stdout)["endpoints"][0]["inputs"]["model_uri"] == "models:/fraud/7"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.yaml"], "cannot be read: No such file or directory; name another"),
        (["-"], "standard input: it is none of what is known, must be a KServe InferenceService"),
        (["-", "--from", "seldon"], "must be one of kserve, databricks, sagemaker"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence_and_status_2(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["convert", *arguments], input="a: 1")

    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_help_names_the_formats_that_there_are() -> None:
    from headrace.stacks.conversion import Format  # noqa: PLC0415

    shown = CliRunner().invoke(app, ["convert", "--help"]).stdout
    assert all(each.value in shown for each in Format)
