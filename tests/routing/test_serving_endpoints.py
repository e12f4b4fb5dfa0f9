"""Endpoints in Databricks' words, read back by Databricks' own SDK."""

from dataclasses import replace
from typing import Any

import pytest
from databricks.sdk.service import serving
from management_server import CREATED, item_of

from headrace.contract.caller import Caller
from headrace.routing.management import serving_endpoints
from headrace.routing.management.serving_endpoints import Served, detail, read, summary, visible


@pytest.fixture
def split(make_endpoint: Any, make_version: Any) -> Any:
    """Two versions of a registered model, and one by its alias."""
    uris = {"v7": "models:/main.risk.fraud/7", "v8": "models:/fraud@champion", "v9": "runs:/0a1b/model"}
    weights = {"v7": 90, "v8": 10, "v9": 0}
    return make_endpoint("fraud", *(replace(make_version(n, weights[n]), model_uri=uri) for n, uri in uris.items()))


def served(item: dict[str, Any]) -> Served:
    found = read(item)
    assert found is not None
    return found


def test_the_sdk_reads_the_list_as_it_was_meant(split: Any) -> None:
    document = summary(served(item_of(split, labels={"team": "risk"})))
    parsed = serving.ServingEndpoint.from_dict(document)

    assert parsed.as_dict() == document, "every field is one that the SDK knows"
    assert (parsed.name, parsed.creation_timestamp, parsed.last_updated_timestamp) == ("fraud", *2 * (1767323045000,))
    assert parsed.state == serving.EndpointState(
        ready=serving.EndpointStateReady.READY, config_update=serving.EndpointStateConfigUpdate.NOT_UPDATING
    )
    assert parsed.tags == [serving.EndpointTag(key="team", value="risk")]
    assert [(each.name, each.entity_name, each.entity_version) for each in parsed.config.served_entities] == [
        ("v7", "main.risk.fraud", "7"),
        ("v8", "fraud", "champion"),
        ("v9", "runs:/0a1b/model", ""),
    ]


def test_the_sdk_reads_one_endpoint_as_it_was_meant(split: Any) -> None:
    document = detail(served(item_of(split, labels={"team": "risk"})))
    parsed = serving.ServingEndpointDetailed.from_dict(document)

    assert parsed.as_dict() == document
    assert parsed.config.config_version == 3
    assert {route.served_entity_name: route.traffic_percentage for route in parsed.config.traffic_config.routes} == {
        "v7": 90,
        "v8": 10,
        "v9": 0,
    }
    assert {each.state.deployment.value for each in parsed.config.served_entities} == {"DEPLOYMENT_READY"}
    assert parsed.permission_level is serving.ServingEndpointDetailedPermissionLevel.CAN_QUERY
    first = parsed.config.served_models[0]
    assert (first.model_name, first.model_version) == ("main.risk.fraud", "7")


@pytest.mark.parametrize(
    ("ready", "reason", "rolled_out", "state"),
    [
        (True, "VersionsReady", None, ("READY", "NOT_UPDATING", "DEPLOYMENT_READY")),
        (False, "NoReadyPod", None, ("NOT_READY", "IN_PROGRESS", "DEPLOYMENT_CREATING")),
        (True, "FormerVersionServes", None, ("READY", "IN_PROGRESS", "DEPLOYMENT_CREATING")),
        (True, "FormerVersionServes", "OOMKilled", ("READY", "UPDATE_FAILED", "DEPLOYMENT_FAILED")),
        (False, "ModelLoadFailed", None, ("NOT_READY", "UPDATE_FAILED", "DEPLOYMENT_FAILED")),
        (False, "ImagePullBackOff", None, ("NOT_READY", "UPDATE_FAILED", "DEPLOYMENT_FAILED")),
    ],
)
def test_the_state_says_what_the_conditions_say(
    split: Any, ready: bool, reason: str, rolled_out: str | None, state: tuple[str, str, str]
) -> None:
    item = item_of(split, ready=ready, reason=reason)
    if rolled_out is not None:
        more = {"type": "RolledOut", "status": "False", "reason": rolled_out, "message": "Version v8, pod a: no memory"}
        item["status"]["conditions"].append({**more, "lastTransitionTime": CREATED})
    parsed = serving.ServingEndpointDetailed.from_dict(detail(served(item)))

    deployment = parsed.config.served_entities[0].state
    assert (parsed.state.ready.value, parsed.state.config_update.value, deployment.deployment.value) == state
    if rolled_out is not None:
        assert deployment.deployment_state_message == "Version v8, pod a: no memory"


def test_an_object_that_the_control_plane_has_not_seen_is_being_updated(split: Any) -> None:
    changed, new = item_of(split), item_of(split)
    changed["metadata"]["generation"] = 4
    del new["status"]

    for item in (changed, new):
        assert summary(served(item))["state"]["config_update"] == "IN_PROGRESS"
    assert summary(served(new))["state"]["ready"] == "NOT_READY"


def test_a_caller_sees_what_it_may_call_and_nothing_else(make_endpoint: Any) -> None:
    items = [
        item_of(make_endpoint("open")),
        item_of(make_endpoint("bobs", subjects=("bob", "carol"))),
        item_of(make_endpoint("alices", subjects=("alice",))),
    ]
    elsewhere = item_of(make_endpoint("claimed"))
    elsewhere["metadata"]["namespace"] = "endpoint-open"
    broken = item_of(make_endpoint("broken"))
    broken["spec"]["versions"] = []
    found = [read(item) for item in (*items, elsewhere, broken)]

    assert list(visible(found, Caller("alice"))) == ["alices", "open"]
    assert list(visible(found, Caller("bob"))) == ["bobs", "open"]
    assert list(visible(found, Caller())) == ["open"]
    assert found[3:] == [None, None], "what the proxies do not serve is not told"


def test_openai_reads_a_model(split: Any) -> None:
    types = pytest.importorskip("openai.types")

    model = types.Model.model_validate(serving_endpoints.openai_model(served(item_of(split))))
    assert (model.id, model.object, model.created) == ("fraud", "model", 1767323045)


def test_a_stopped_endpoint_is_neither_updating_nor_failed(split: Any) -> None:
    item = item_of(replace(split, spec=replace(split.spec, stopped=True)))
    item["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": "Stopped", "message": "stopped"}]
    parsed = serving.ServingEndpointDetailed.from_dict(detail(served(item)))

    assert parsed.state == serving.EndpointState(
        ready=serving.EndpointStateReady.NOT_READY, config_update=serving.EndpointStateConfigUpdate.NOT_UPDATING
    )
    assert {each.state.deployment.value for each in parsed.config.served_entities} == {"DEPLOYMENT_ABORTED"}
