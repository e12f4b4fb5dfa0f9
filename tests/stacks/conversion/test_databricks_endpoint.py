"""Serving endpoints of Databricks as endpoints."""

import copy
import dataclasses
import enum
import json
import typing
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service import serving

from headrace.stacks.conversion import Outcome
from tests.stacks.conversion.converted_program import convert, inputs, run, told
from tests.stacks.conversion.samples import DATABRICKS

pytestmark = pytest.mark.usefixtures("stand_in_images")


def test_served_entities_become_versions_with_their_shares_and_bounds(tmp_path: Path) -> None:
    found = convert(DATABRICKS)
    recording = run(found, tmp_path, ads_clicks_table_uri="s3://lake/ads", ads_token="hush")

    assert inputs(recording, "ads-clicks") == {
        "tracking_uri": "databricks",
        "versions": [
            {
                "model_uri": "models:/main.ads.clicks/2",
                "name": "current",
                "weight": 90,
                "scale": {"max_replicas": 4, "min_replicas": 0},
            },
            {
                "model_uri": "models:/main.ads.clicks/4",
                "name": "challenger",
                "weight": 10,
                "scale": {"max_replicas": 16, "min_replicas": 1},
                "runtime": {"gpus": 1, "gpu_memory_gib": 24, "gpu_has_fp8": False},
            },
        ],
        "limits": {"caller_requests_per_minute": 100, "requests_per_minute": 1000},
        "inference_table": {"uri": "s3://lake/ads"},
        "environment": {"TOKEN": "hush", "REGION": "eu"},
        "labels": {"team": "ads"},
    }
    (endpoint,) = [each for each in recording.resources.values() if each.name == "ads-clicks"]
    assert endpoint.secrets == {"environment.TOKEN"}
    assert "# To be set: pulumi config set --secret ads_token" in found.program


def test_what_does_not_map_is_told() -> None:
    assert set(told(convert(DATABRICKS), Outcome.NOT_MAPPED)) == {
        "config.served_entities[1].instance_profile_arn",
        "ai_gateway.rate_limits[2]",
    }


def test_the_request_of_old_that_makes_an_endpoint_is_one_model() -> None:
    model = {"model_name": "ads", "model_version": "7", "workload_size": "Small", "scale_to_zero_enabled": False}
    found = convert(
        {"name": "ads", "config": {"served_models": [model]}, "rate_limits": [{"calls": 5, "key": "endpoint"}]}
    )

    assert found.endpoints[0].ordered() == {
        "model_uri": "models:/ads/7",
        "tracking_uri": "databricks",
        "limits": {"requests_per_minute": 5},
        "scale": {"max_replicas": 4, "min_replicas": 1},
    }
    assert found.is_whole
    assert "MLFLOW_REGISTRY_URI=databricks" in found.program


def test_routes_that_do_not_add_up_are_brought_to_a_hundred_and_told() -> None:
    odd = copy.deepcopy(DATABRICKS)
    odd["config"]["traffic_config"]["routes"][0]["traffic_percentage"] = 20
    found = convert(odd)

    assert [version["weight"] for version in found.endpoints[0].inputs["versions"]] == [67, 33]
    assert "it is 67 here" in told(found, Outcome.NOT_MAPPED)["config.traffic_config.routes[0].traffic_percentage"]


def test_a_model_of_somebody_elses_api_is_none_that_can_be_served() -> None:
    external = {"name": "gpt", "external_model": {"provider": "openai", "openai_config": {"openai_api_key": "hush"}}}
    found = convert({"name": "chat", "config": {"served_entities": [external]}})

    assert found.document()["endpoints"][0]["inputs"]["model_uri"] == {"config": "chat_model_uri"}
    assert "config.served_entities[0].external_model" in told(found, Outcome.NOT_MAPPED)
    assert "hush" not in json.dumps(found.document())


def _full(kind: Any, depth: int = 0) -> Any:
    """A value of the type with every field of it."""
    arguments = [each for each in typing.get_args(kind) if each is not type(None)]
    if typing.get_origin(kind) is list:
        return [_full(arguments[0], depth)]
    if typing.get_origin(kind) is dict:
        return {"REGION": "eu"}
    if arguments:
        return _full(arguments[0], depth)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, vars(serving))
        return {field.name: _full(hints[field.name], depth + 1) for field in dataclasses.fields(kind)}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind)).value
    return {bool: True, int: 4, str: "text", float: 0.5}[kind]


def test_every_field_of_databricks_own_client_has_an_outcome_of_its_own() -> None:
    """A field that is new in the client fails here until somebody says what becomes of it."""
    whole = {
        **_full(serving.ServingEndpointDetailed),
        "config": {**_full(serving.EndpointCoreConfigInput), **_full(serving.EndpointCoreConfigOutput)},
    }
    del whole["config"]["served_models"]
    old = {**whole, "config": {**_full(serving.EndpointCoreConfigInput)}}
    del old["config"]["served_entities"]

    for document in (whole, old):
        lost = told(convert(document), Outcome.NOT_MAPPED)
        assert [place for place, reason in lost.items() if "no input for it" in reason] == []
