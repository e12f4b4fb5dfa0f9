"""World: the state of the cluster that a snapshot is built from, as frozen data."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.contract import names
from headrace.contract.codec import read
from headrace.contract.declaration import Style
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion
from headrace.contract.revoked import NOTHING_REVOKED, Revoked
from headrace.contract.rollout import steps_fault
from headrace.contract.trusted_issuer import TrustedIssuer

TIMEOUT_SECONDS_MAX: Final = 3600


@dataclass(frozen=True, order=True)
class PodAddress:
    """Where one ready pod listens."""

    ip: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One ModelEndpoint that obeys the rules."""

    name: str
    spec: ModelEndpointSpec

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of its object."""
        return names.endpoint_namespace(self.name), self.name

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
    """An issuer of callers' tokens, and its public keys."""

    issuer: str
    jwks: str
    """The JSON Web Key Set, canonical JSON text."""

    @classmethod
    def of(cls, issuer: str, jwks: Mapping[str, Any]) -> "Keys":
        """Canonical text, whatever order the issuer publishes its keys in."""
        keys = sorted(jwks.get("keys", ()), key=lambda key: json.dumps(key, sort_keys=True))
        return cls(issuer=issuer, jwks=json.dumps({"keys": keys}, sort_keys=True, separators=(",", ":")))


@dataclass(frozen=True, kw_only=True)
class KnownIssuer:
    """An issuer beside the cluster whose keys were read."""

    trusted: TrustedIssuer
    keys: Keys


@dataclass(frozen=True, kw_only=True)
class Issuers:
    """Whose tokens are good."""

    cluster: Keys
    others: tuple[KnownIssuer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class World:
    """Input of `build`."""

    keys: Keys
    """Of the cluster's own issuer."""
    other_issuers: tuple[KnownIssuer, ...] = ()
    """Those beside it whose keys are known."""
    revoked: Revoked = NOTHING_REVOKED
    """Tokens and callers that are refused all the same."""
    endpoints: tuple[Endpoint, ...] = ()
    pods: Mapping[tuple[str, str], tuple[PodAddress, ...]] = field(default_factory=dict)
    """(endpoint, version) → its ready pods."""
    balancers: tuple[PodAddress, ...] = ()
    """The LoadBalancer's own ready pods."""
    managers: tuple[PodAddress, ...] = ()
    """Ready pods of the management API."""
    pop_proxies: int = 1
    """How many PopProxies are ready: each has its share of what is limited."""
    consoles: tuple[PodAddress, ...] = ()
    """Ready pods of the console."""
    activators: tuple[PodAddress, ...] = ()
    """Ready pods of the activator; without one, requests for a version without pods are refused at once."""

    @property
    def issuers(self) -> Issuers:
        """Whose tokens are good. What is called as the cluster's own issuer is left out: nobody could tell them
        apart."""
        others = (known for known in self.other_issuers if known.keys.issuer != self.keys.issuer)
        return Issuers(cluster=self.keys, others=tuple(others))


def faults_of(name: str, namespace: str, given: Mapping[str, Any]) -> tuple[ModelEndpointSpec | None, list[str]]:
    """The `spec` of an object, None where it cannot be read; and every broken rule, of those too that the object's
    schema cannot express and that the proxies rely on."""
    spec, broken = read(ModelEndpointSpec, given, Style.KUBERNETES)
    faults = [f"spec.{fault}" for fault in broken]
    if len(name) > names.ENDPOINT_NAME_MAX or names.DNS_LABEL.fullmatch(name) is None:
        rule = f"must be a DNS label of at most {names.ENDPOINT_NAME_MAX} characters; choose another"
        faults.append(f"name = {name!r}, {rule}")
    elif namespace != (expected := names.endpoint_namespace(name)):
        rule = f"must be {expected!r}, so that one endpoint cannot take another's name"
        faults.append(f"namespace = {namespace!r}, {rule}")
    if spec is not None:
        total = sum(version.weight for version in spec.versions)
        if total != 100:
            faults.append(f"spec.versions weights add up to {total}, must be 100; change the weights")
        if spec.timeout_seconds > TIMEOUT_SECONDS_MAX:
            faults.append(f"spec.timeoutSeconds = {spec.timeout_seconds:g}, must be at most {TIMEOUT_SECONDS_MAX}")
        if spec.rollout is not None:
            if len([version for version in spec.versions if version.weight > 0]) != 1:
                faults.append(
                    "spec.rollout is given with several weights, must be with one version; remove one of both"
                )
            if (fault := steps_fault(spec.rollout.steps)) is not None:
                faults.append(f"spec.rollout.steps{fault}")
    return spec, faults


def accepted_endpoints(
    objects: Iterable[Mapping[str, Any]],
) -> tuple[tuple[Endpoint, ...], dict[tuple[str, str], list[str]]]:
    """Splits ModelEndpoint objects, as JSON, into endpoints in name order and faults by (namespace, name).

    An object with a fault is left out, and the others are served.
    """
    accepted: list[Endpoint] = []
    refused: dict[tuple[str, str], list[str]] = {}
    for item in objects:
        name, namespace = item["metadata"]["name"], item["metadata"].get("namespace", "")
        spec, faults = faults_of(name, namespace, item.get("spec", {}))
        if spec is None or faults:
            refused[namespace, name] = faults
        else:
            accepted.append(Endpoint(name=name, spec=spec))
    return tuple(sorted(accepted, key=lambda endpoint: endpoint.name)), refused
