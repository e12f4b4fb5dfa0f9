"""Checkup: what may be wrong with a platform, each as one sentence with a remedy."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import requests
from packaging.version import Version

from headrace.cli.cluster_reader import ClusterReader, PlatformAddress
from headrace.contract import names
from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER
from headrace.contract.custom_object import CustomObject
from headrace.contract.endpoint_state import EndpointState
from headrace.contract.errors import HeadraceError
from headrace.contract.model_endpoint import MODEL_ENDPOINT

OLDEST_KUBERNETES: Final = "1.30"
"""The first whose containers may sleep before they stop (`preStop.sleep`) without a feature gate."""
_CLOCK_SECONDS: Final = 30.0
"""Tokens and certificates are believed within less; Envoy's own leeway for tokens is a minute."""
_CERTIFICATE_DAYS: Final = 21
"""A certificate of the platform is renewed by the first `pulumi up` in its last third, four months."""
_RIGHTS: Final = (
    ("create", "namespaces", ""),
    ("create", "deployments", "apps"),
    ("create", "customresourcedefinitions", "apiextensions.k8s.io"),
    ("create", "clusterroles", "rbac.authorization.k8s.io"),
    ("create", "networkpolicies", "networking.k8s.io"),
)
"""What `pulumi up` of a platform needs, among others."""


class Verdict(StrEnum):
    WELL = "ok"
    DOUBTFUL = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str
    verdict: Verdict
    sentence: str
    remedy: str
    """What to do; empty where all is well."""


def well(check: str, sentence: str) -> Finding:
    return Finding(check=check, verdict=Verdict.WELL, sentence=sentence, remedy="")


def wrong(check: str, sentence: str, remedy: str) -> Finding:
    return Finding(check=check, verdict=Verdict.WRONG, sentence=sentence, remedy=remedy)


def doubtful(check: str, sentence: str, remedy: str) -> Finding:
    return Finding(check=check, verdict=Verdict.DOUBTFUL, sentence=sentence, remedy=remedy)


def findings(cluster: ClusterReader) -> Iterator[Finding]:
    """Every check in order. A check that cannot be made is a finding itself; without a cluster there is only that."""
    try:
        version = cluster.api.get("/version")["gitVersion"]
    except HeadraceError as error:
        yield wrong("cluster", str(error), "start the cluster, or name another kubeconfig or context")
        return
    yield kubernetes_version(version)
    yield from _made("rights", lambda: rights(cluster))
    yield from _made("nodes", lambda: map(node, cluster.nodes()))
    yield from _made("kinds", lambda: kinds(cluster))
    yield from _made("platform", lambda: programs(cluster))
    yield from _made("address", lambda: address(cluster.platform(), datetime.now(UTC)))
    yield from _made("endpoints", lambda: endpoints(cluster))


def _made(check: str, run: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from run()
    except HeadraceError as error:
        yield wrong(check, str(error), "mend that first")


def kubernetes_version(version: str) -> Finding:
    """`version` as the API server says it, for example v1.36.3 or v1.31.4-eks-2d5f260."""
    number = Version(version.lstrip("v").partition("-")[0].partition("+")[0])
    if number < Version(OLDEST_KUBERNETES):
        return wrong("version", f"Kubernetes is {version}, must be {OLDEST_KUBERNETES} or newer", "upgrade the cluster")
    return well("version", f"Kubernetes is {version}")


def rights(cluster: ClusterReader) -> Iterator[Finding]:
    """What whoever runs this may do. To look at endpoints one needs less than to deploy."""
    missing = [
        f"{verb} {resource}" for verb, resource, group in _RIGHTS if not cluster.may(verb, resource, group=group)
    ]
    if missing:
        yield doubtful(
            "rights",
            f"you may not {', '.join(missing)}",
            "ask for these rights to deploy a platform; none is needed to look",
        )
    else:
        yield well("rights", "you may deploy a platform")


def node(item: Mapping[str, Any]) -> Finding:
    """One node, from its conditions."""
    name = item["metadata"]["name"]
    states = {each["type"]: each for each in item.get("status", {}).get("conditions", ())}
    ready = states.get("Ready", {})
    if ready.get("status") != "True":
        said = ready.get("message", "it has not told")
        return wrong("nodes", f"node {name} is not ready: {said}", f"kubectl describe node {name}")
    pressed = [kind for kind, state in states.items() if kind.endswith("Pressure") and state["status"] == "True"]
    if pressed:
        return wrong(
            "nodes", f"node {name} has {', '.join(pressed)}", f"free some, or add a node: kubectl describe node {name}"
        )
    return well("nodes", f"node {name} is ready")


def kinds(cluster: ClusterReader) -> Iterator[Finding]:
    """Whether the cluster's kinds are those that this package writes."""
    for kind in (MODEL_ENDPOINT, AUTOPILOT_POD_AUTOSCALER):
        yield _kind(cluster, kind)


def _kind(cluster: ClusterReader, kind: CustomObject) -> Finding:
    crd = kind.crd()
    name = crd["metadata"]["name"]
    there = cluster.api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    wanted, found = (_fields(each["spec"]["versions"][0]) for each in (crd, there))
    if lacking := sorted(wanted - found):
        return doubtful(
            "kinds",
            f"{name} in the cluster lacks {', '.join(lacking)}",
            "`pulumi up` the platform with this version of Headrace",
        )
    return well("kinds", f"{name} is that of this version of Headrace")


def _fields(version: Mapping[str, Any]) -> set[str]:
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    return {f"{part}.{field}" for part in ("spec", "status") for field in schema.get(part, {}).get("properties", {})}


def programs(cluster: ClusterReader) -> Iterator[Finding]:
    """The platform's own Deployments."""
    found = cluster.deployments(names.SYSTEM_NAMESPACE)
    if not found:
        yield wrong(
            "platform",
            f"namespace {names.SYSTEM_NAMESPACE} has no Deployment",
            "`pulumi up` a program with a ServingPlatform",
        )
    for item in found:
        name, wanted = item["metadata"]["name"], item["spec"].get("replicas", 1)
        ready = item.get("status", {}).get("readyReplicas", 0)
        look = f"kubectl -n {names.SYSTEM_NAMESPACE} describe deployment {name}"
        if ready == 0 < wanted:
            yield wrong("platform", f"{name} has none of {wanted} pods ready", look)
        elif ready < wanted:
            yield doubtful("platform", f"{name} has {ready} of {wanted} pods ready", look)
        else:
            yield well("platform", f"{name} has {ready} of {wanted} pods ready")


def address(platform: PlatformAddress, now: datetime) -> Iterator[Finding]:
    """Whether the PopProxy answers from here, how long its certificate holds, and whether clocks agree."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Path(folder, "ca.crt")
        authority.write_text(platform.ca_certificate)
        verify: str | bool = str(authority) if platform.ca_certificate else True
        try:
            answer = requests.get(platform.url, verify=verify, timeout=10, allow_redirects=False)
        except requests.exceptions.SSLError as error:
            yield wrong(
                "address",
                f"{platform.url} shows a certificate that is not trusted: {error}",
                "`pulumi up` the platform",
            )
            return
        except requests.RequestException as error:
            remedy = (
                f"look at Service {names.SYSTEM_NAMESPACE}/{names.POP_PROXY}; it may be reachable only from elsewhere"
            )
            yield wrong("address", f"{platform.url} does not answer from here: {error}", remedy)
            return
    yield well("address", f"{platform.url} answers")
    if platform.ca_certificate:
        yield certificate(platform.ca_certificate, now)
    if "date" in answer.headers:
        yield clock((parsedate_to_datetime(answer.headers["date"]) - now).total_seconds())


def certificate(pem: str, now: datetime) -> Finding:
    """How long clients may trust the authority."""
    from cryptography import x509  # noqa: PLC0415

    end = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    days = (end - now).days
    sentence = f"the authority's certificate is good until {end:%Y-%m-%d}"
    if days < _CERTIFICATE_DAYS:
        return wrong("certificate", sentence, "`pulumi up` the platform makes another; give it to the callers")
    return well("certificate", sentence)


def clock(ahead_seconds: float) -> Finding:
    """`ahead_seconds`: the platform's clock less this machine's."""
    apart = abs(ahead_seconds)
    if apart > _CLOCK_SECONDS:
        sentence = (
            f"the platform's clock is {apart:.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'} this machine's"
        )
        return wrong("clock", sentence, "synchronise both (NTP): tokens and certificates are refused otherwise")
    return well("clock", f"the platform's clock and this machine's agree within {max(1.0, apart):.0f} s")


def endpoints(cluster: ClusterReader) -> Iterator[Finding]:
    """Every endpoint that is not well, or one finding for all that are."""
    states = [EndpointState.of(item, ()) for item in cluster.endpoints()]
    for state in states:
        if not state.well:
            yield wrong("endpoints", f"{state.name} is {state.word}", f"headrace why {state.name}")
    if all(state.well for state in states):
        yield well("endpoints", f"{len(states)} of {len(states)} are served as they are declared")
