"""Endpoints as the documents that Databricks' and OpenAI's clients read. Pure."""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract import names
from headrace.contract.caller import Caller
from headrace.contract.model_endpoint import READY, ROLLED_OUT, ServedVersion
from headrace.routing.snapshot.world import Endpoint, faults_of

Document = dict[str, Any]
_CREATOR: Final = "pulumi"
"""Endpoints have no other; the token's subject of whoever ran it is not in the cluster."""
_OWN_LABELS: Final = ("app.kubernetes.io/", f"{names.API_GROUP}/")
_UPDATING: Final = ("NoReadyPod", "FormerVersionServes")
"""Reasons of `Ready` while pods of a version start."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """An endpoint that obeys the rules, with the object that it was read from."""

    endpoint: Endpoint
    item: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.endpoint.name

    def version(self, name: str) -> ServedVersion | None:
        """The version of that name."""
        return next((version for version in self.endpoint.spec.versions if version.name == name), None)


def read(item: Mapping[str, Any]) -> Served | None:
    """A ModelEndpoint object as JSON; None where it breaks a rule, as nobody can call it then."""
    name, namespace = item["metadata"]["name"], item["metadata"].get("namespace", "")
    spec, faults = faults_of(name, namespace, item.get("spec", {}))
    return None if spec is None or faults else Served(endpoint=Endpoint(name=name, spec=spec), item=item)


def visible(found: Iterable[Served | None], caller: Caller) -> dict[str, Served]:
    """The endpoints that the caller may call, by name, as the PopProxy decides it."""
    ordered = sorted((each for each in found if each is not None), key=lambda each: each.name)
    return {each.name: each for each in ordered if each.endpoint.spec.admits(caller)}


def summary(served: Served) -> Document:
    """One entry of the list; also `ServingEndpoint` of the SDK."""
    created = _milliseconds(served.item["metadata"].get("creationTimestamp"))
    changes = [_milliseconds(each.get("lastTransitionTime")) for each in _conditions(served.item).values()]
    labels = served.item["metadata"].get("labels") or {}
    tags = {key: value for key, value in sorted(labels.items()) if not key.startswith(_OWN_LABELS)}
    entities = [_entity(version) for version in served.endpoint.spec.versions]
    return {
        "id": served.item["metadata"].get("uid", served.name),
        "name": served.name,
        "creator": _CREATOR,
        "creation_timestamp": created,
        "last_updated_timestamp": max([created, *changes]),
        "state": {
            "ready": "READY" if _holds(served.item, READY.name) else "NOT_READY",
            "config_update": _update(served),
        },
        "config": {"served_entities": entities, "served_models": [_model(entity) for entity in entities]},
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }


def detail(served: Served) -> Document:
    """One endpoint; also `ServingEndpointDetailed` of the SDK."""
    created = _milliseconds(served.item["metadata"].get("creationTimestamp"))
    state = _deployment(served)
    entities = [
        {
            **_entity(version),
            "creator": _CREATOR,
            "creation_timestamp": created,
            "scale_to_zero_enabled": False,
            "state": state,
        }
        for version in served.endpoint.spec.versions
    ]
    routes = [
        {
            "served_model_name": version.name,
            "served_entity_name": version.name,
            "traffic_percentage": version.weight,
        }
        for version in served.endpoint.spec.versions
    ]
    config = {
        "config_version": served.item["metadata"].get("generation", 0),
        "served_entities": entities,
        "served_models": [_model(entity) for entity in entities],
        "traffic_config": {"routes": routes},
    }
    return {
        **summary(served),
        "config": config,
        "permission_level": "CAN_QUERY",
        "route_optimized": False,
    }


def deployment_endpoint(served: Served) -> Document:
    """One endpoint as MLflow's client of deployments reads it, `Endpoint` there."""
    first = served.endpoint.weighted[0]
    return {
        "name": served.name,
        "endpoint_type": first.runtime,
        "model": {"name": _entity(first)["entity_name"], "provider": "headrace"},
        "endpoint_url": names.invocations_path(served.name),
        "limit": None,
    }


def openai_model(served: Served) -> Document:
    """One entry of OpenAI's list of models."""
    created = _milliseconds(served.item["metadata"].get("creationTimestamp")) // 1000
    return {"id": served.name, "object": "model", "created": created, "owned_by": "headrace"}


def _entity(version: ServedVersion) -> Document:
    """The registered model and its version, where the URI names them: models:/NAME/VERSION or models:/NAME@ALIAS."""
    kind, _, path = version.model_uri.partition(":/")
    name, number = version.model_uri, ""
    if kind == "models":
        slash = "@" if "@" in path else "/"
        name, _, number = path.strip("/").partition(slash)
    return {"name": version.name, "entity_name": name, "entity_version": number}


def _model(entity: Mapping[str, Any]) -> Document:
    """The older name of an entity."""
    rest = {key: value for key, value in entity.items() if not key.startswith("entity_")}
    return {**rest, "model_name": entity["entity_name"], "model_version": entity["entity_version"]}


def _conditions(item: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {each.get("type", ""): each for each in (item.get("status") or {}).get("conditions") or ()}


def _holds(item: Mapping[str, Any], kind: str) -> bool:
    return _conditions(item).get(kind, {}).get("status") == "True"


def _update(served: Served) -> str:
    """`config_update` of the state: whether the pods of what the object names are still to come."""
    status, ready = served.item.get("status") or {}, _conditions(served.item).get(READY.name)
    if ready is None or status.get("observedGeneration", 0) < served.item["metadata"].get("generation", 0):
        return "IN_PROGRESS"
    if ROLLED_OUT.name in _conditions(served.item):
        return "NOT_UPDATING" if _holds(served.item, ROLLED_OUT.name) else "UPDATE_FAILED"
    if served.endpoint.spec.stopped:
        return "NOT_UPDATING"
    if ready.get("reason") in _UPDATING:
        return "IN_PROGRESS"
    return "NOT_UPDATING" if ready.get("status") == "True" else "UPDATE_FAILED"


def _deployment(served: Served) -> Document:
    """`state` of the versions that the object names."""
    words = {"NOT_UPDATING": "READY", "IN_PROGRESS": "CREATING", "UPDATE_FAILED": "FAILED"}
    if served.endpoint.spec.stopped:
        words["NOT_UPDATING"] = "ABORTED"
    conditions = _conditions(served.item)
    said = conditions.get(ROLLED_OUT.name) or conditions.get(READY.name) or {}
    return {"deployment": f"DEPLOYMENT_{words[_update(served)]}", "deployment_state_message": said.get("message", "")}


def _milliseconds(time: str | None) -> int:
    """Since 1970, of RFC 3339; 0 where there is none."""
    return int(datetime.datetime.fromisoformat(time).timestamp() * 1000) if time else 0
