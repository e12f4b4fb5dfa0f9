"""Both custom objects, as the API server has known them since they were released.

Run with HEADRACE_UPDATE_SCHEMA=1 to accept a change of a CRD.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER, AutoscalerSpec
from headrace.contract.custom_object import CustomObject
from headrace.contract.model_endpoint import MODEL_ENDPOINT, ModelEndpointSpec

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = json.loads((GOLDEN / "specs.json").read_text())
"""Specs as the API server holds them, and as they are written again: what is absent has its default then."""


@pytest.mark.parametrize("known", [MODEL_ENDPOINT, AUTOPILOT_POD_AUTOSCALER], ids=lambda known: known.kind)
def test_the_api_server_is_told_what_it_was_told_before(known: CustomObject) -> None:
    golden = GOLDEN / f"{known.plural}.json"
    text = json.dumps(known.crd(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("HEADRACE_UPDATE_SCHEMA"):
        golden.write_text(text)

    assert golden.read_text() == text


@pytest.mark.parametrize("known", [MODEL_ENDPOINT, AUTOPILOT_POD_AUTOSCALER], ids=lambda known: known.kind)
def test_every_column_shows_a_field_or_condition_that_there_is(known: CustomObject) -> None:
    (version,) = known.crd()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"properties": {"creationTimestamp": {"type": "string", "format": "date-time"}}}
    selector = re.compile(r"\[(?:\*|\?\(@\.type=='(\w+)'\))\]")
    for column in known.columns:
        found = schema
        for key in selector.sub("", column.path).removeprefix(".").split("."):
            found = found.get("items", found)["properties"][key]

        assert column.type == ("date" if found.get("format") == "date-time" else found["type"]), column.name
        assert {*selector.findall(column.path)} <= {"", *(condition.name for condition in known.conditions)}


@pytest.mark.parametrize("sample", SAMPLES["ModelEndpoint"])
def test_an_endpoints_spec_is_written_as_before(sample: dict[str, Any]) -> None:
    assert ModelEndpointSpec.from_json(sample["read"]).to_json() == sample["written"]


@pytest.mark.parametrize("sample", SAMPLES["AutopilotPodAutoscaler"])
def test_an_autoscalers_spec_is_written_as_before(sample: dict[str, Any]) -> None:
    assert AutoscalerSpec.from_json(sample["read"]).to_json() == sample["written"]
