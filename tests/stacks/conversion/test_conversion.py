"""Whatever a document holds: no value vanishes, no program is refused, and what is unknown is one sentence."""

import ast
import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.components.endpoint.endpoint_inputs import read_inputs
from headrace.contract.errors import InputError
from headrace.stacks.conversion import Converted, Format, Outcome, converted
from headrace.stacks.conversion.endpoint_draft import EndpointDraft, shares, slug
from headrace.stacks.conversion.source_document import Path as Place
from tests.stacks.conversion.converted_program import convert, inputs, run, told
from tests.stacks.conversion.samples import DATABRICKS, INFERENCE_SERVICE, OLD_INFERENCE_SERVICE, SAGEMAKER

PAGE = Path(__file__).parents[3] / "docs" / "converting.md"
SAMPLES = [INFERENCE_SERVICE, OLD_INFERENCE_SERVICE, DATABRICKS, SAGEMAKER]
UNKNOWN = "zzUnknown"
TEXTS = st.text(max_size=8) | st.sampled_from(["$(A)", "{{secrets/a/b}}", 'say "it\'s"', "0", "1e30Gi", "\x07[red]"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def places(value: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value with its place, from the outermost inwards."""
    yield path, value
    held = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in held:
        yield from places(item, (*path, key))


def at(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, Any], Place | None]:
    """A sample of which values have become anything; and where a key stands that nobody knows."""
    sample = copy.deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from([each for each, _ in places(sample) if len(each) > 1]))
        at(sample, place[:-1])[place[-1]] = draw(VALUES)
    holders = [place for place, value in places(sample) if isinstance(value, dict)]
    place = (*draw(st.sampled_from(holders)), UNKNOWN)
    at(sample, place[:-1])[UNKNOWN] = draw(VALUES)
    return sample, place


def read(node: ast.expr) -> Any:
    """What the program's literal stands for, as Converted.document has it."""
    if isinstance(node, ast.Dict):
        return {read(key): read(item) for key, item in zip(node.keys, node.values, strict=True) if key is not None}
    if isinstance(node, ast.List):
        return [read(item) for item in node.elts]
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Attribute)
        (key,) = map(read, node.args)
        return {"config": key, **({"secret": True} if node.func.attr == "require_secret" else {})}
    return None if isinstance(node, ast.Name) else ast.literal_eval(node)


def written(found: Converted) -> dict[str, Any]:
    """Inputs of each ModelEndpoint in the program's text."""
    calls = [node for node in ast.walk(ast.parse(found.program)) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "ModelEndpoint"]
    every = {read(call.args[0]): read(call.args[1]) for call in made}
    return {name: {key: item for key, item in each.items() if key != "platform"} for name, each in every.items()}


def _example(value: Any) -> Any:
    if isinstance(value, dict) and set(value) <= {"config", "secret"}:
        return "s3://lake/table" if value["config"].endswith("table_uri") else "text"
    if isinstance(value, dict):
        return {key: _example(item) for key, item in value.items()}
    return [_example(item) for item in value] if isinstance(value, list) else value


@given(documents())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_value_vanishes_and_no_program_is_refused(given: tuple[dict[str, Any], Place]) -> None:
    document, unknown = given
    try:
        found = convert(document)
    except InputError:  # of which the cases are below
        return
    (draft,) = found.endpoints
    known = {finding.place: finding for finding in draft.findings}

    for place, value in places(document):
        if not isinstance(value, dict | list):
            assert any(place[:length] in known for length in range(1, len(place) + 1)), place
    covering = [known[unknown[:length]] for length in range(1, len(unknown) + 1) if unknown[:length] in known]
    assert covering
    assert all(finding.outcome is not Outcome.MAPPED or _is_free(finding.place) for finding in covering)
    assert written(found) == {draft.name: found.document()["endpoints"][0]["inputs"]}
    assert read_inputs({**_example(written(found)[draft.name]), "platform": {}})[1] == []


def _is_free(place: Place) -> bool:
    """Whether keys of that mapping are the user's own."""
    free = {"labels", "annotations", "nodeSelector", "environment_vars"}
    return len(place) > 1 and place[-2] in free


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1", "none of what is known"),
        ("", "none of what is known"),
        ("[1, 2]", "none of what is known"),
        ("a: [1\nb: }", "neither YAML nor JSON, at line 2"),
        ("kind: InferenceService\napiVersion: serving.kubeflow.org/v1alpha2", "of the version .*v1alpha2, must be"),
        ('{"name": "a\\ud800", "config": {"served_models": []}}', "half of a character"),
        (json.dumps(SAGEMAKER) + "\n---\n" + json.dumps(SAGEMAKER), "2 documents"),
        (json.dumps(INFERENCE_SERVICE) + "\n---\n" + json.dumps(INFERENCE_SERVICE), "several endpoints fraud"),
        (json.dumps({**SAGEMAKER, "ProductionVariants": SAGEMAKER["ProductionVariants"] * 9}), "at most 15"),
    ],
)
def test_what_is_not_known_is_a_sentence(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        converted(text, subject="here.yaml")


@pytest.mark.parametrize("wrong", [{UNKNOWN: 1}, [1, 2], True, "much"])
def test_a_value_of_another_type_than_it_must_have_is_not_mapped(wrong: Any) -> None:
    document = copy.deepcopy(SAGEMAKER)
    document["ProductionVariants"][0] |= {
        "VariantName": wrong,
        "InitialInstanceCount": wrong,
        "InitialVariantWeight": wrong,
    }

    lost = told(convert(document), Outcome.NOT_MAPPED)
    assert "ProductionVariants[0].InitialInstanceCount" in lost
    assert "ProductionVariants[0].InitialVariantWeight" in lost
    assert ("ProductionVariants[0].VariantName" in lost) == (wrong != "much")


def test_a_document_of_aliases_is_refused_before_it_fills_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    bomb = "\n".join([*lines, "EndpointConfigName: a", "ProductionVariants: []"])

    with pytest.raises(InputError, match="too large"):
        converted(bomb, subject="here.yaml")


def test_a_format_may_be_named_and_then_decides() -> None:
    text = json.dumps(DATABRICKS, indent="\t")

    assert converted(text, subject="here.json").format is Format.DATABRICKS
    with pytest.raises(InputError, match="no InferenceService"):
        converted(text, subject="here.json", source=Format.KSERVE)


@pytest.mark.parametrize(
    ("uris", "said"),
    [
        ({"": "models:/a/1"}, "without a name for 2 models; write NAME=URI: current, challenger"),
        ({"curent": "models:/a/1"}, "names 'curent', which the source does not have"),
        ({"current": ""}, "is empty"),
    ],
)
def test_a_model_uri_for_nothing_or_for_everything_is_refused(uris: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        convert(DATABRICKS, model_uris=uris)


@pytest.mark.usefixtures("stand_in_images")
def test_several_endpoints_have_names_that_python_takes(tmp_path: Path) -> None:
    services = [
        {**OLD_INFERENCE_SERVICE, "metadata": {"name": name}, "spec": {"predictor": {"model": MODEL}}}
        for name in ("class", "config", "2fast", "a-b", "pulumi")
    ]
    recording = run(convert(*services), tmp_path)

    assert inputs(recording, "class") == inputs(recording, "2fast") == {"model_uri": "s3://models/x"}
    assert sorted(recording.exports["urls"]) == ["2fast", "a-b", "class", "config", "pulumi"]


MODEL = {"modelFormat": {"name": "mlflow"}, "storageUri": "s3://models/x"}


def test_the_page_shows_what_is_written() -> None:
    one = {**SAGEMAKER, "ProductionVariants": SAGEMAKER["ProductionVariants"][:1], "ShadowProductionVariants": []}
    texts = [convert(sample).program for sample in (INFERENCE_SERVICE, one)]
    lines = {line.strip() for text in texts for line in text.splitlines()}
    shown = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

    assert len(shown) == 2
    assert [line for block in shown for line in block.splitlines() if line.strip() not in lines] == []


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        ([90, 10], [90, 10]),
        ([1, 1, 1], [34, 33, 33]),
        ([2.0, 1.0], [67, 33]),
        ([0, 0], [100, 0]),
        ([0.001, 999], [0, 100]),
    ],
)
def test_weights_become_whole_percents(weights: list[float], found: list[int]) -> None:
    assert shares(weights) == found


@pytest.mark.parametrize(
    ("name", "label"), [("Fraud_Model.v2", "fraud-model-v2"), ("---", "model"), ("é", "model"), ("a" * 70, "a" * 63)]
)
def test_a_name_becomes_the_nearest_label(name: str, label: str) -> None:
    assert slug(name) == label


def test_a_draft_keeps_the_first_of_two_values() -> None:
    found = convert(DATABRICKS)
    draft: EndpointDraft = found.endpoints[0]

    assert not draft.put(("environment", "REGION"), "us")
    assert draft.inputs["environment"]["REGION"] == "eu"
