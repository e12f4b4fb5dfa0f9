"""EndpointWeights: large files of a model that its pods copy to their node, instead of pulling them as a layer.

Inputs and rules; the parts of pods are in weights_pod. The builder leaves the same files out of the image
(`streamed_bytes`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Final, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi

from headrace.components.endpoint.endpoint_egress import EgressRule, EndpointEgress, egress_faults
from headrace.components.endpoint.endpoint_environment import environment_faults
from headrace.components.endpoint.model_source import ModelSource
from headrace.components.kubernetes.checks import DNS_SUBDOMAIN
from headrace.contract.codec import read
from headrace.contract.declaration import Bounds, Text

_MIB: Final = 1024 * 1024
_ABOVE_MIB: Final = 2048
"""A layer of 2 GiB is pulled and unpacked in about a minute; and registries begin to refuse much larger ones (Amazon's
at 52 GB, GitHub's at 10)."""
_LEAST_BYTES: Final = 4 * _MIB
"""Smaller files stay in the image of a large model: they are tokenizers and settings, and each costs a request."""
_CLOUDS: Final = ("s3", "gs", "abfss", "wasbs")
_OF_MLFLOW: Final = "mlflow-artifacts"
_WHO_ASKS: Final = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_IN_CLUSTER: Final = re.compile(r"[^.]+\.([^.]+)\.svc(?:\.cluster\.local)?")
"""Name of a Service, with its namespace."""


class EndpointWeightsCache(TypedDict):
    """A volume that outlives a pod, so that the next one on the node need not copy, by one of `claim` and
    `node_path`."""

    claim: NotRequired[str]
    """PersistentVolumeClaim in the endpoint's namespace; ReadWriteMany where pods run on several nodes."""
    node_path: NotRequired[str]
    """Directory that each node has, for example /var/lib/headrace/weights; a folder of it is this endpoint's."""
    mib: NotRequired[int]
    """What all weights there may take. Absent: as much as there is room."""


class EndpointWeights(TypedDict):
    """How a large model's weights get to its pods."""

    above_mib: NotRequired[int]
    """Size of a model from which on its files above 4 MiB are copied by the pods and are no layer of the image. Default
    2048."""
    tracking_uri: NotRequired[str]
    """Address of the tracking server for the pods. Absent: as for the deployer."""
    environment: NotRequired[dict[str, pulumi.Input[Any]]]
    """Who asks the store, in MLflow's and the clouds' variables; values as in the endpoint's environment. The model has
    none of them."""
    egress: NotRequired[list[EndpointEgress]]
    """Where the store is. Absent: the tracking server, if its address is an IP address or a Service of the cluster."""
    cache: NotRequired[EndpointWeightsCache]
    """Shared by the pods of a node. Absent: each pod copies for itself."""


@dataclass(frozen=True, kw_only=True)
class WeightsCache:
    """EndpointWeightsCache, checked."""

    claim: Annotated[str, Text(pattern=DNS_SUBDOMAIN.pattern, meaning="the name of a claim")] | None = None
    node_path: Annotated[str, Text(pattern=r"(/[^/:]+)+", meaning="an absolute path")] | None = None
    mib: Annotated[int, Bounds(minimum=1)] | None = None


@dataclass(frozen=True, kw_only=True)
class Weights:
    """EndpointWeights, checked."""

    above_mib: Annotated[int, Bounds(minimum=1)] = _ABOVE_MIB
    tracking_uri: Annotated[str, Text(pattern=r"https?://[^/@]+.*", meaning="an http or https address")] | None = None
    environment: Any = field(default_factory=dict)  # read by its own rules, which repeat no value
    egress: tuple[EgressRule, ...] = ()
    cache: WeightsCache | None = None


@dataclass(frozen=True, kw_only=True)
class WeightsPlan:
    """What pods copy, and from where."""

    source: str
    """Artifact URI of the model's directory."""
    tracking_uri: str
    size_bytes: int
    """Of the model: its weights are little less."""
    egress: tuple[EgressRule, ...]
    resolves_names: bool
    """Whether the store's address is a name."""
    cache: WeightsCache | None


def weights_faults(given: object) -> Iterator[str]:
    """What is wrong with EndpointWeights, beyond the types of its fields."""
    if not isinstance(given, Mapping):
        return
    yield from (f"weights.{fault}" for fault in environment_faults(given.get("environment", {})))
    yield from (f"weights.{fault}" for fault in egress_faults(given.get("egress", [])))
    cache = read(WeightsCache, given["cache"])[0] if "cache" in given else None
    if cache is not None and (cache.claim is None) == (cache.node_path is None):
        found = "neither" if cache.claim is None else "both"
        yield f"weights.cache has {found} claim and node_path, must have one of them"


def plan(source: ModelSource, weights: Weights, deployer: Mapping[str, str]) -> WeightsPlan | str:
    """How pods get the weights; empty where the model is small, and a sentence where they could not, so that the
    weights are in the image. `deployer` are the variables by which this machine asks the store.
    """
    if source.size_bytes <= weights.above_mib * _MIB:
        return ""
    where = urlsplit(source.artifact_uri)
    size = f"the model's {source.size_bytes / 1e6:,.0f} MB are a layer of its image"
    made = WeightsPlan(
        source=source.artifact_uri, tracking_uri="", size_bytes=source.size_bytes, egress=weights.egress,
        resolves_names=True, cache=weights.cache,
    )  # fmt: skip
    if where.scheme in _CLOUDS:
        remedy = "set weights.egress to the store's addresses, or to its host with Cilium, to have them copy it"
        return made if weights.egress else f"{size}: pods connect to nobody by default; {remedy}"
    if where.scheme != _OF_MLFLOW:
        return f"{size}: pods cannot read {source.artifact_uri}; keep large models in an artifact store"
    address = f"https://{where.netloc}" if where.netloc else weights.tracking_uri or source.tracking_uri
    server = urlsplit(address)
    host = server.hostname or "localhost"
    if _is_loopback(host):
        return f"{size}: pods do not reach {address}; set weights.tracking_uri to the server's address for them"
    if asked := [name for name in _WHO_ASKS if deployer.get(name) and name not in weights.environment]:
        return f"{size}: the tracking server wants to know who asks; set weights.environment[{asked[-1]}] to that"
    egress = weights.egress or _egress_to(host, server.port or (443 if server.scheme == "https" else 80))
    if not egress:
        remedy = "set weights.egress to its addresses, or to the host with Cilium, to have them copy it"
        return f"{size}: the cluster's policies know no names such as {host}; {remedy}"
    return replace(made, tracking_uri=address, egress=egress, resolves_names=not _is_address(host))


def streamed_bytes(weights: Weights, planned: WeightsPlan | str) -> int:
    """Smallest file that is not in the image, in bytes; 0 where all are."""
    return min(_LEAST_BYTES, weights.above_mib * _MIB) if isinstance(planned, WeightsPlan) else 0


def _egress_to(host: str, port: int) -> tuple[EgressRule, ...]:
    """The rule to an address, or to the pods of a Service; none to another name, which needs Cilium."""
    if _is_address(host):
        return (EgressRule(cidr=str(ip_network(host)), ports=(port,)),)
    service = _IN_CLUSTER.fullmatch(host)
    return (EgressRule(namespace=service[1], ports=(port,)),) if service else ()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ip_address(host).is_loopback if _is_address(host) else host == "localhost"
