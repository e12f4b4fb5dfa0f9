"""A serving endpoint of Databricks, as its API describes or creates it, as an endpoint.

Keys are those of `GET /api/2.0/serving-endpoints/NAME` and of the request that creates one. Pure.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from headrace.stacks.conversion.endpoint_draft import (
    DraftVersion,
    EndpointDraft,
    ModelUris,
    Setting,
    endpoint_name,
    shares,
)
from headrace.stacks.conversion.source_document import Part, Path, SourceDocument

_ENTITIES: Final = ("served_entities", "served_models")
"""The second is the older word."""
_CONCURRENCY: Final = {"Small": 4, "Medium": 16, "Large": 64}
"""Most requests that Databricks answers at once, by workload_size."""
_SIZES: Final = "a pod answers one request at a time or more, so that this many are never fewer than there"
_GPUS: Final = {
    "GPU_SMALL": (1, 16.0, False),
    "GPU_MEDIUM": (1, 24.0, False),
    "MULTIGPU_MEDIUM": (4, 24.0, False),
    "GPU_MEDIUM_8": (8, 24.0, False),
    "GPU_LARGE": (1, 80.0, False),
    "GPU_LARGE_2": (2, 80.0, False),
    "GPU_XLARGE": (1, 80.0, True),
    "GPU_XLARGE_8": (8, 80.0, True),
}
"""Number, GiB of one, and whether it multiplies 8-bit floats: T4, A10G, A100 and H100, by Databricks' page on GPU
workload types, for AWS and Azure."""
_SECRET: Final = re.compile(r"\{\{\s*secrets/([^/{}\s]+)/([^/{}\s]+)\s*\}\}")
_HISTORY: Final = "Databricks wrote it"
_IGNORED: Final = {
    **{
        key: _HISTORY
        for key in ("id", "creator", "creation_timestamp", "last_updated_timestamp", "state", "permission_level")
    },
    "endpoint_url": "the endpoint has an address of its own",
    "data_plane_info": "the endpoint has an address of its own",
    "task": "it follows from the model",
    "route_optimized": "every endpoint has the short way",
}
_LOST: Final = {
    "pending_config": ("", "it is an update that was not over; convert what it ends with"),
    "budget_policy_id": ("scale", "a budget is scale.cost_per_hour with scale.pod_cost_per_hour"),
    "description": ("labels", "an endpoint has no description; a label may say whose it is"),
    "email_notifications": ("", "alerts are Prometheus' own; see the page on monitoring"),
    "telemetry_config": ("inference_table", "rows of requests go to inference_table, metrics to Prometheus"),
}
_OF_AN_ENTITY: Final = {
    "instance_profile_arn": ("service_account", "name a role as service_account.annotations"),
    "external_model": ("", "a model of somebody else's API is called by a model that is logged, with egress to it"),
    "foundation_model": ("", "log the model with MLflow to serve it"),
    "burst_scaling_enabled": ("scale", "the autoscaler scales up to max_replicas"),
    "provisioned_model_units": ("scale", "units are Databricks'; bounds of pods are scale"),
    "min_provisioned_throughput": ("scale", "tokens a second are no bound here; bounds of pods are scale"),
    "max_provisioned_throughput": ("scale", "tokens a second are no bound here; bounds of pods are scale"),
    "min_provisioned_concurrency": ("scale", "pods follow the load; set min_replicas to keep spare ones"),
}


def matches(data: Any) -> bool:
    """Whether it is one."""
    config = data.get("config") if isinstance(data, Mapping) else None
    return isinstance(config, Mapping) and "name" in data and any(key in config for key in _ENTITIES)


def convert(data: Any, uris: ModelUris) -> EndpointDraft:
    """One serving endpoint."""
    document = SourceDocument(data)
    root, config = document.root, document.root["config"]
    name = endpoint_name(root["name"])
    draft = EndpointDraft(name, f"Databricks serving endpoint {root['name'].text or name}", document)
    root.ignore_each(_IGNORED)
    root.lose_each(_LOST)
    config["name"].ignore("it is the endpoint's")
    config["config_version"].ignore(_HISTORY)
    _serving(draft, config, uris)
    _table(draft, config["auto_capture_config"])
    _gateway(draft, root)
    for _, tag in root["tags"].parts():
        if tag["key"].text:
            value = tag["value"].value if tag["value"] else ""
            draft.put(("labels", tag["key"].text), value, *(tag[key] for key in ("key", "value")))
    return draft


def _serving(draft: EndpointDraft, config: Part, uris: ModelUris) -> None:
    key = next((key for key in _ENTITIES if config[key].value), _ENTITIES[0])
    if key == _ENTITIES[0]:
        config[_ENTITIES[1]].ignore("served_entities says the same")
    entities = [entity for _, entity in config[key].parts()]
    routes = config["traffic_config"]["routes"]
    names = [_name(entity) for entity in entities]
    routed = {_routed(route): route["traffic_percentage"] for _, route in routes.parts()}
    weights = [routed[name].whole if name in routed else 0 for name in names] if routed else [1] * len(names)
    percents = shares([weight if weight is not None and weight > 0 else 0 for weight in weights]) if names else []
    places: list[Path] = [("versions", at) for at in range(len(names))] if len(names) > 1 else [()]
    versions = [
        DraftVersion(name=name, model_uri=_model_uri(draft, entity, name, place, uris), weight=share)
        for entity, name, place, share in zip(entities, names, places, percents, strict=False)
    ]
    if not versions:
        versions = [DraftVersion(name=draft.name, model_uri=uris.of(draft.name, endpoint=draft.name))]
    prefixes = draft.begin(versions)
    for entity, prefix in zip(entities, prefixes, strict=False):
        _entity(draft, entity, prefix)
    for _, route in routes.parts():
        _route(route, names, percents, prefixes)


def _route(route: Part, names: list[str], percents: list[int], prefixes: list[Path]) -> None:
    routed, share = _routed(route), route["traffic_percentage"]
    if routed not in names:
        route.lose("it leads to nothing that is served")
        return
    position = names.index(routed)
    target = (*prefixes[position], "weight")
    for key in ("served_entity_name", "served_model_name"):
        if route[key].text:
            route[key].maps((*prefixes[position], "name") if prefixes[position] else ("model_uri",))
    if not prefixes[position]:
        share.ignore("the only version gets all requests")
    elif share.whole == percents[position]:
        share.maps(target)
    else:
        share.lose(f"it is {percents[position]} here, since weights add up to 100", near=target)


def _routed(route: Part) -> str:
    return route["served_entity_name"].text or route["served_model_name"].text


def _name(entity: Part) -> str:
    """As Databricks names those without a name: fraud-7."""
    return entity["name"].text or f"{_model(entity)}-{_version(entity)}"


def _model(entity: Part) -> str:
    return entity["entity_name"].text or entity["model_name"].text


def _version(entity: Part) -> str:
    found = next((entity[key].value for key in ("entity_version", "model_version") if entity[key]), "")
    return str(found) if isinstance(found, str | int) else ""


def _model_uri(draft: EndpointDraft, entity: Part, name: str, place: Path, uris: ModelUris) -> str | Setting:
    """The model in Databricks' registry, which becomes the tracking server."""
    asked = name if place else draft.name
    given, model, version = uris.said(asked), _model(entity), _version(entity)
    parts = [entity[key] for key in ("entity_name", "model_name", "entity_version", "model_version")]
    if given is not None:
        for part in parts:
            part.ignore("--model-uri stands in its place")
        return given
    if not re.fullmatch(r"[^/@]+", model) or not version.isdecimal():
        for part in parts:
            part.lose("it names no version of a registered model", near=(*place, "model_uri"))
        return uris.of(asked, endpoint=draft.name)
    draft.inputs["tracking_uri"] = "databricks"
    workspace = (
        "" if model.count(".") == 2 else ", with MLFLOW_REGISTRY_URI=databricks for the workspace's own registry"
    )
    for part, reason in zip(parts, (*[f"`pulumi up` asks Databricks for it{workspace}"] * 2, "", ""), strict=True):
        part.maps((*place, "model_uri"), reason)
    return f"models:/{model}/{version}"


def _entity(draft: EndpointDraft, entity: Part, prefix: Path) -> None:
    if prefix and entity["name"].text:
        entity["name"].maps((*prefix, "name"))
    elif not prefix:
        entity["name"].ignore("the only version is named by its number")
    for key in ("state", "creator", "creation_timestamp"):
        entity[key].ignore(_HISTORY)
    entity.lose_each(_OF_AN_ENTITY, prefix=prefix)
    _scale(draft, entity, prefix)
    for variable, value in entity["environment_vars"].parts():
        secret = _SECRET.fullmatch(value.text)
        if secret is None and "{{" in value.text:
            value.lose("it has a secret within a text; make all of it one", near=("environment",))
        elif secret is not None:
            setting = re.sub(r"\W", "_", "_".join(secret.groups()))
            reason = "nobody may read it there, so that it is a setting now"
            draft.put(("environment", str(variable)), Setting(setting, "secret", secret=True), value, reason=reason)
        else:
            draft.put(("environment", str(variable)), value.value, value)


def _scale(draft: EndpointDraft, entity: Part, prefix: Path) -> None:
    size, most, kind = entity["workload_size"], entity["max_provisioned_concurrency"], entity["workload_type"]
    if most.whole is not None:
        draft.put((*prefix, "scale", "max_replicas"), most.whole, most, reason=_SIZES)
        size.ignore("max_provisioned_concurrency says more")
    elif size.text in _CONCURRENCY:
        draft.put((*prefix, "scale", "max_replicas"), _CONCURRENCY[size.text], size, reason=_SIZES)
    asleep = entity["scale_to_zero_enabled"]
    if isinstance(asleep.value, bool):
        draft.put((*prefix, "scale", "min_replicas"), 0 if asleep.value else 1, asleep)
    if kind.text in _GPUS:
        gpus, memory, has_fp8 = _GPUS[kind.text]
        wanted = {"gpus": gpus, "gpu_memory_gib": memory, "gpu_has_fp8": has_fp8}
        draft.put((*prefix, "runtime"), wanted, kind)
    elif kind.text == "CPU":
        kind.ignore("a model has no GPUs unless it needs one")
    elif kind.text.startswith("CPU_"):
        kind.lose("memory follows from the model's size; set memory_mib for more", near=(*prefix, "memory_mib"))


def _table(draft: EndpointDraft, table: Part) -> None:
    """Of auto_capture_config and of the gateway's inference_table_config."""
    table["state"].ignore(_HISTORY)
    parts = [table[key] for key in ("catalog_name", "schema_name", "table_name_prefix")]
    if not table:
        return
    if table["enabled"].value is False or not any(part.text for part in parts):
        for part in (*parts, table["enabled"]):
            part.ignore("the table is off")
        return
    key = f"{re.sub(r'[^a-z0-9]', '_', draft.name)}_table_uri"
    reason = f"a table is a folder of a store, such as s3://lake/{draft.name}, and a setting now"
    held = [part for part in (*parts, table["enabled"]) if part.text or part.value is True]
    draft.put(("inference_table", "uri"), Setting(key, "s3://lake/table"), *held, reason=reason)


def _gateway(draft: EndpointDraft, root: Part) -> None:
    gateway = root["ai_gateway"]
    _table(draft, gateway["inference_table_config"])
    gateway["guardrails"].lose("what may be asked and answered is the model's own to judge")
    gateway["fallback_config"].lose("a request that fails is tried again at another pod of its version")
    usage = gateway["usage_tracking_config"]["enabled"]
    if usage.value is False:
        usage.ignore("it is off")
    else:
        usage.lose("rows of inference_table have caller and tokens", near=("inference_table",))
    for limits in (gateway["rate_limits"], root["rate_limits"]):
        for _, limit in limits.parts():
            _limit(draft, limit)


def _limit(draft: EndpointDraft, limit: Part) -> None:
    inputs = {"endpoint": "requests_per_minute", "user": "caller_requests_per_minute"}
    key = limit["key"].text if limit["key"] else "endpoint"
    period = limit["renewal_period"].text if limit["renewal_period"] else "minute"
    if key not in inputs or limit["principal"].text or limit["calls"].whole is None or period != "minute":
        limit.lose("limits count requests a minute, of each caller and of all together", near=("limits",))
        return
    target = ("limits", inputs[key])
    draft.put(target, limit["calls"].whole, *(part for part in (limit["calls"], limit["key"]) if part))
    limit["renewal_period"].ignore("it is a minute always")
    limit["tokens"].lose("requests are counted, not tokens", near=("limits",))
