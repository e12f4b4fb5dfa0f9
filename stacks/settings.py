"""Settings of a stack: the only reader of pulumi.Config. Defaults are in Pulumi.yaml.

An empty string there means "not set", because a typed configuration value cannot be absent. All faults are reported
together, before anything is registered.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import pulumi

from headrace.components.cluster.serving_cluster import ServingClusterArgs
from headrace.components.endpoint.endpoint_inputs import ModelEndpointArgs
from headrace.components.kubernetes import checks
from headrace.components.platform.platform_ref import base_faults, delivery_faults
from headrace.components.platform.serving_platform import ServingPlatformArgs

_SHAPES: Final[Mapping[type, str]] = {dict: "mapping", list: "list"}
_ENDPOINT_KEYS: Final = frozenset(ModelEndpointArgs.__annotations__) - {"platform"} | {"name"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one stack deploys, as arguments of the components."""

    cluster: ServingClusterArgs
    platform: ServingPlatformArgs
    endpoints: Mapping[str, Mapping[str, Any]]
    """By endpoint name: the arguments of ModelEndpoint but `platform`."""


def read() -> Settings:
    """The settings of the current stack. Raises ArgsError with every fault found."""
    config = pulumi.Config()
    endpoints = config.require_object("endpoints")
    delivery = config.require_object("image_delivery")
    base = config.require_object("image_base")
    labels = config.require_object("labels")
    checks.require(
        f"Stack '{pulumi.get_stack()}'",
        checks.labels("labels", labels),
        _faults_of_shape("image_delivery", delivery, dict) or (delivery and delivery_faults(delivery)),
        _faults_of_shape("image_base", base, dict) or base_faults(base),
        _faults_of_endpoints(endpoints),
    )
    tracking_uri, blocks = config.require("tracking_uri"), config.require_object("api_server_addresses")
    return Settings(
        cluster=cast(ServingClusterArgs, _set({key: config.require(key) for key in ("kubeconfig", "context")})),
        platform=cast(
            ServingPlatformArgs,
            {
                **_set({key: config.require(key) for key in ("exposure", "host", "tls_secret", "prometheus_url")}),
                "node_port": config.require_int("node_port"),
                "server_names": config.require_object("server_names"),
                "autoscaler": config.require_bool("autoscaler"),
                "replicas": config.require_int("platform_replicas"),
                **({"image_delivery": delivery} if delivery else {}),
                **({"api_server_addresses": blocks} if blocks else {}),
                "image_base": base,
                "labels": labels,
            },
        ),
        endpoints={
            endpoint["name"]: {
                **_set({"tracking_uri": tracking_uri}),
                **{key: value for key, value in endpoint.items() if key not in ("name", "environment")},
                **({"environment": _environment(endpoint["environment"])} if "environment" in endpoint else {}),
                "labels": {**labels, **endpoint.get("labels", {})},
            }
            for endpoint in endpoints
        },
    )


def _environment(given: object) -> object:
    """Variables, of which every text is a secret: the engine does not tell which parts of a setting were encrypted."""
    if not isinstance(given, Mapping):
        return given
    return {name: pulumi.Output.secret(value) if isinstance(value, str) else value for name, value in given.items()}


def _set(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value != ""}


def _faults_of_shape(field: str, value: object, shape: type) -> list[str]:
    return [] if isinstance(value, shape) else [f"{field} = {value!r}, must be a {_SHAPES[shape]}"]


def _faults_of_endpoints(endpoints: object) -> Iterator[str]:
    yield from _faults_of_shape("endpoints", endpoints, list)
    if not isinstance(endpoints, list):
        return
    given = []
    for position, endpoint in enumerate(endpoints):
        field = f"endpoints[{position}]"
        yield from _faults_of_shape(field, endpoint, dict)
        if not isinstance(endpoint, dict):
            continue
        for fault in (*checks.present(endpoint, "name", "model_uri"), *checks.known_keys(endpoint, _ENDPOINT_KEYS)):
            yield f"{field}: {fault}"
        if isinstance(endpoint.get("name"), str) and endpoint["name"]:
            given.append(endpoint["name"])
            yield from checks.endpoint_name(f"{field}.name", endpoint["name"])
        elif endpoint.get("name"):
            yield f"{field}.name = {endpoint['name']!r}, must be text; put it in quotes"
    yield from checks.unique("endpoints[].name", given)
