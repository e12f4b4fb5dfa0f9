"""World: what the control plane knows of the cluster, as frozen data."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.contract import names
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion


@dataclass(frozen=True, order=True)
class PodAddress:
    """Where one ready pod listens."""

    ip: str
    port: int
    """HTTP."""
    grpc_port: int = 0
    """gRPC; 0 where there is none."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One ModelEndpoint that obeys the rules."""

    name: str
    spec: ModelEndpointSpec

    @property
    def weighted(self) -> tuple[ServedVersion, ...]:
        """Versions that take a share of the traffic."""
        return tuple(version for version in self.spec.versions if version.weight > 0)

    @property
    def shadows(self) -> tuple[ServedVersion, ...]:
        """Versions that take a copy of a share of the traffic."""
        return tuple(version for version in self.spec.versions if version.shadow > 0)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Who signs callers' tokens."""

    issuer: str
    jwks: str
    """The JSON Web Key Set, canonical JSON text."""

    @classmethod
    def of(cls, issuer: str, jwks: Mapping[str, Any]) -> "Keys":
        """Canonical text, whatever order the issuer publishes its keys in."""
        keys = sorted(jwks.get("keys", ()), key=lambda key: json.dumps(key, sort_keys=True))
        return cls(issuer=issuer, jwks=json.dumps({"keys": keys}, sort_keys=True, separators=(",", ":")))


@dataclass(frozen=True, kw_only=True)
class World:
    """Input of `build`."""

    keys: Keys
    endpoints: tuple[Endpoint, ...] = ()
    pods: Mapping[tuple[str, str], tuple[PodAddress, ...]] = field(default_factory=dict)
    """(endpoint, version) → its ready pods."""
    balancers: tuple[PodAddress, ...] = ()
    """The LoadBalancer's own ready pods."""


def faults_of(name: str, namespace: str, spec: ModelEndpointSpec) -> list[str]:
    """Rules that the object's schema cannot express, and that the proxies rely on."""
    faults = []
    if len(name) > names.ENDPOINT_NAME_MAX or names.DNS_LABEL.fullmatch(name) is None:
        faults.append(
            f"name = {name!r}, must be a DNS label of at most {names.ENDPOINT_NAME_MAX} characters; choose another"
        )
    elif namespace != names.endpoint_namespace(name):
        expected = names.endpoint_namespace(name)
        faults.append(
            f"namespace = {namespace!r}, must be {expected!r}, so that one endpoint cannot take another's name"
        )
    labels = [version.name for version in spec.versions]
    for label in sorted(set(labels)):
        if names.DNS_LABEL.fullmatch(label) is None:
            faults.append(f"spec.versions name = {label!r}, must be a DNS label; rename it")
        if labels.count(label) > 1:
            faults.append(f"spec.versions name = {label!r} appears {labels.count(label)} times, must be unique")
    total = sum(version.weight for version in spec.versions)
    if total != 100:
        faults.append(f"spec.versions weights add up to {total}, must be 100; change the weights")
    if not 0 < spec.timeout_seconds <= 3600:
        faults.append(f"spec.timeoutSeconds = {spec.timeout_seconds}, must be above 0 and at most 3600")
    return faults


def accepted_endpoints(
    objects: Iterable[Mapping[str, Any]],
) -> tuple[tuple[Endpoint, ...], dict[tuple[str, str], list[str]]]:
    """Splits ModelEndpoint objects, as JSON, into endpoints in name order and faults by (namespace, name).

    An object with a fault is left out; it never keeps the others from being served.
    """
    accepted: list[Endpoint] = []
    refused: dict[tuple[str, str], list[str]] = {}
    for item in objects:
        name, namespace = item["metadata"]["name"], item["metadata"].get("namespace", "")
        try:
            spec = ModelEndpointSpec.from_json(item.get("spec", {}))
        except (KeyError, TypeError, ValueError) as error:
            refused[namespace, name] = [f"spec cannot be read ({error!r}); apply it again against the current CRD"]
            continue
        faults = faults_of(name, namespace, spec)
        if faults:
            refused[namespace, name] = faults
        else:
            accepted.append(Endpoint(name=name, spec=spec))
    return tuple(sorted(accepted, key=lambda endpoint: endpoint.name)), refused
