"""ControlPlane: the program that turns ModelEndpoint objects and EndpointSlices into the proxies' configuration (xDS).

It has the least rights that it can work with: it reads those two kinds and lists pods in every namespace, writes the
status of ModelEndpoints, and reads the documents of token issuers: the cluster's and those that it is given. Proxies
keep serving while it is away.
"""

from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import manifests, network_policies
from headrace.components.platform.controller import READ, Controller, Grant, require
from headrace.components.platform.identities import identity_secrets, identity_volume
from headrace.components.platform.revocations import Revocations, revocation_environment, revocation_faults
from headrace.components.platform.token_issuers import (
    TokenIssuer,
    token_issuer_environment,
    token_issuer_faults,
    token_issuers,
)
from headrace.contract import names, telemetry
from headrace.contract.trusted_issuers import keys_port

_STATUS: Final = f"{names.MODEL_ENDPOINT_PLURAL}/status"

RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.MODEL_ENDPOINT_PLURAL], "verbs": READ},
    {"apiGroups": [names.API_GROUP], "resources": [_STATUS], "verbs": ["get", "patch", "update"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},  # why an endpoint is not ready, for its status
    {"nonResourceURLs": ["/openid/v1/jwks", "/.well-known/openid-configuration"], "verbs": ["get"]},
]
"""Everything the control plane may do with the API server."""
_ROUTING: Final = Controller(
    program=names.ROUTING,
    module="routing.ads",
    grants=(Grant(role=f"headrace-{names.ROUTING}", rules=RULES),),
    policy=network_policies.control_plane,
    port_name="xds",
    port=names.XDS_PORT,
    protocol="https",
)


class ControlPlaneArgs(TypedDict):
    """Inputs of ControlPlane."""

    image: pulumi.Input[str]
    """Image of the control plane, which holds all controllers, pinned by digest."""
    replicas: NotRequired[int]
    """Copies. Default 2, so that a lost node leaves one that works."""
    api_server_addresses: NotRequired[list[str]]
    """Address blocks in which the API server listens, for example ["10.0.0.0/24"]: on managed clusters that move it.
    Absent: its addresses at the time of the update."""
    log_collector: NotRequired[str]
    """Host and port of a Collector that takes lines of the log, OTLP over HTTP. Absent: they are in the pods alone."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""
    collector: NotRequired[str]
    """Host and port of a Collector that takes OTLP over gRPC from the proxies. Absent: they trace nothing."""
    token_issuers: NotRequired[list[TokenIssuer]]
    """Whose tokens callers may show beside the cluster's, at most 16. Absent: nobody's."""
    revoked: NotRequired[Revocations]
    """Tokens and callers that are refused although their issuer calls them good. Absent: none."""


class ControlPlane(pulumi.ComponentResource):
    """Deployment, Service, identity and rights of the control plane, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port of its xDS service inside the cluster."""

    def __init__(self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given, refused = args.get("token_issuers", []), args.get("revoked", {})
        faults = chain(token_issuer_faults(given), revocation_faults(refused))
        require("ControlPlane", name, args, faults, shape=ControlPlaneArgs)
        super().__init__("headrace:index:ControlPlane", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = manifests.standard_labels(names.ROUTING, args.get("labels", {}))
        # No output: the Secrets by which proxies and control plane know each other, for which the proxies' pods wait.
        self.identities = identity_secrets(name, labels=labels, opts=child)
        volumes = [identity_volume(names.ROUTING)]
        issuers = token_issuers(given)
        told = {**token_issuer_environment(issuers), **revocation_environment(refused)}
        if "collector" in args:
            told[telemetry.ENV_COLLECTOR] = args["collector"]
        # Issuers may be at any address.
        ports = sorted({keys_port(issuer) for issuer in issuers})
        controller = replace(_ROUTING, policy=partial(network_policies.control_plane, issuer_ports=ports))
        service = controller.register(self, name, args, environment=told, volumes=volumes, after=self.identities)
        self.address = service.urn.apply(lambda _: _ROUTING.address)
        self.register_outputs({"address": self.address})
