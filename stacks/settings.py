"""Settings of a stack: the only reader of pulumi.Config. Defaults are in Pulumi.yaml.

An empty string there means "not set", because a typed configuration value cannot be absent. All faults are reported
together, before anything is registered.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import pulumi
from pulumi.runtime import config as engine_config

from headrace.components.cluster.serving_cluster import ServingClusterArgs
from headrace.components.endpoint.endpoint_inputs import ModelEndpointArgs
from headrace.components.endpoint.endpoint_versions import model_missing
from headrace.components.kubernetes import checks
from headrace.components.platform.platform_ref import architecture_faults, base_faults, delivery_faults
from headrace.components.platform.prices import Prices
from headrace.components.platform.revocations import revocation_faults
from headrace.components.platform.serving_platform import ServingPlatformArgs
from headrace.components.platform.table_writer import tables_faults
from headrace.components.platform.telemetry import telemetry_faults
from headrace.components.platform.token_issuers import token_issuer_faults
from headrace.contract import codec
from headrace.images.request import DeliveryKind
from headrace.stacks.promotion.gates import Gates

_SHAPES: Final[Mapping[type, str]] = {dict: "mapping", list: "list"}
KNOWN: Final = frozenset((
    "kubeconfig", "context", "tracking_uri", "image_delivery", "image_base", "exposure", "host", "node_port",
    "server_names", "tls_secret", "autoscaler", "prometheus_url", "api_server_addresses", "platform_replicas", "labels",
    "endpoints", "evidence_key", "promotion", "architectures", "inference_tables", "telemetry", "token_issuers",
    "revoked", "prices",
))  # fmt: skip
"""Every setting that there is: those of Pulumi.yaml, which has their defaults."""
_ENDPOINT_KEYS: Final = frozenset(ModelEndpointArgs.__annotations__) - {"platform"} | {"name"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one stack deploys, as arguments of the components."""

    cluster: ServingClusterArgs
    platform: ServingPlatformArgs
    endpoints: Mapping[str, Mapping[str, Any]]
    """By endpoint name: the arguments of ModelEndpoint but `platform`."""
    evidence_key: str
    """URI of the key that signs what the next stack needs; empty: nothing is signed."""
    prices: Prices
    """What the forecast of a preview reckons with."""


def read(own: Collection[str] = ()) -> Settings:
    """The settings of the current stack. Raises ArgsError with every fault found.

    `own` are settings that the calling program reads besides; others are unknown.
    """
    config = pulumi.Config()
    endpoints = config.require_object("endpoints")
    delivery = config.require_object("image_delivery")
    base = config.require_object("image_base")
    labels = config.require_object("labels")
    nodes = config.require_object("architectures")
    # only nodes that pull images may be of other machines than this one
    asks_nodes = not nodes and delivery.get("kind") == DeliveryKind.REGISTRY if isinstance(delivery, dict) else False
    promotion, tables = config.require_object("promotion"), config.require_object("inference_tables")
    prices, telemetry = config.require_object("prices"), config.require_object("telemetry")
    issuers, revoked = config.require_object("token_issuers"), config.require_object("revoked")
    checks.require(
        f"Stack '{pulumi.get_stack()}'",
        _unknown_settings(own),
        checks.labels("labels", labels),
        _faults_of_shape("image_delivery", delivery, dict) or (delivery and delivery_faults(delivery)),
        _faults_of_shape("image_base", base, dict) or base_faults(base),
        _faults_of_shape("architectures", nodes, list) or architecture_faults(nodes),
        _faults_of_shape("inference_tables", tables, dict) or (tables and tables_faults(tables)),
        _faults_of_shape("telemetry", telemetry, dict) or telemetry_faults(telemetry, has_tables=bool(tables)),
        token_issuer_faults(issuers),
        revocation_faults(revoked),
        _faults_of_endpoints(endpoints),
        _faults_of_shape("promotion", promotion, dict) or _faults_of("promotion", Gates, promotion),
        _faults_of_shape("prices", prices, dict) or _faults_of("prices", Prices, prices),
    )
    tracking_uri, blocks = config.require("tracking_uri"), config.require_object("api_server_addresses")
    return Settings(
        cluster=cast(
            ServingClusterArgs,
            {
                **_set({key: config.require(key) for key in ("kubeconfig", "context")}),
                **({"asks_nodes": True} if asks_nodes else {}),
            },
        ),
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
                **({"architectures": nodes} if nodes else {}),
                **({"inference_tables": tables} if tables else {}),
                **({"telemetry": telemetry} if telemetry else {}),
                **({"prices": prices} if prices else {}),
                **({"token_issuers": issuers} if issuers else {}),
                **({"revoked": revoked} if revoked else {}),
                "image_base": base,
                "labels": labels,
            },
        ),
        endpoints={
            endpoint["name"]: {
                **_set({"tracking_uri": tracking_uri}),
                **{key: value for key, value in _with_secrets(endpoint).items() if key != "name"},
                "labels": {**labels, **endpoint.get("labels", {})},
            }
            for endpoint in endpoints
        },
        evidence_key=config.require("evidence_key"),
        prices=Prices.of_setting(prices),
    )


def _unknown_settings(own: Collection[str]) -> Iterator[str]:
    """Settings of this project that nobody reads: a name with a slip of the pen, which would be left out in silence."""
    prefix = f"{pulumi.get_project()}:"
    given = {**engine_config.get_config_env(), **engine_config.CONFIG.get()}
    for key in sorted(given):
        name = key.removeprefix(prefix)
        if name != key and name not in KNOWN and name not in own:
            near = difflib.get_close_matches(name, KNOWN, n=1)
            meant = f"did you mean {near[0]}" if near else "docs/settings.md lists those that there are"
            yield f"unknown setting {name!r}; {meant}"


def _with_secrets(given: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs with variables, the endpoint's and those of its weights, of which every text is a secret: the engine does
    not tell which parts of a setting were encrypted."""
    found = dict(given)
    if isinstance(variables := given.get("environment"), Mapping):
        texts = {name: pulumi.Output.secret(value) for name, value in variables.items() if isinstance(value, str)}
        found["environment"] = {**variables, **texts}
    if isinstance(weights := given.get("weights"), Mapping):
        found["weights"] = _with_secrets(weights)
    return found


def _set(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value != ""}


def _faults_of_shape(field: str, value: object, shape: type) -> list[str]:
    return [] if isinstance(value, shape) else [f"{field} = {value!r}, must be a {_SHAPES[shape]}"]


def _faults_of(field: str, declared: type, setting: object) -> list[str]:
    return [f"{field}.{fault}" for fault in codec.read(declared, setting)[1]]


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
        model = model_missing(endpoint)
        for fault in (*checks.present(endpoint, "name"), *model, *checks.known_keys(endpoint, _ENDPOINT_KEYS)):
            yield f"{field}: {fault}"
        if isinstance(endpoint.get("name"), str) and endpoint["name"]:
            given.append(endpoint["name"])
            yield from checks.endpoint_name(f"{field}.name", endpoint["name"])
        elif endpoint.get("name"):
            yield f"{field}.name = {endpoint['name']!r}, must be text; put it in quotes"
    yield from checks.unique("endpoints[].name", given)
