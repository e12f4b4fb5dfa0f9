"""ControlPlane: the program that turns ModelEndpoint objects and EndpointSlices into the proxies' configuration (xDS).

It has the least rights that it can work with: it reads those two kinds and lists pods in every namespace, writes the
status of ModelEndpoints, and reads the cluster's token-issuer documents. Proxies keep serving while it is away.
"""

from typing import Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import api_server, checks, manifests, network_policies
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.controller_pod import controller_pod
from headrace.components.platform.identities import identity_secrets, identity_volume
from headrace.components.platform.platform_program import address, platform_program
from headrace.contract import names

_READ: Final = ["get", "list", "watch"]
_STATUS: Final = f"{names.MODEL_ENDPOINT_PLURAL}/status"

RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.MODEL_ENDPOINT_PLURAL], "verbs": _READ},
    {"apiGroups": [names.API_GROUP], "resources": [_STATUS], "verbs": ["get", "patch", "update"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},  # why an endpoint is not ready, for its status
    {"nonResourceURLs": ["/openid/v1/jwks", "/.well-known/openid-configuration"], "verbs": ["get"]},
]
"""Everything the control plane may do with the API server."""


class ControlPlaneArgs(TypedDict):
    """Inputs of ControlPlane."""

    image: pulumi.Input[str]
    """Image of the control plane, pinned by digest."""
    replicas: NotRequired[int]
    """Copies. Default 2, so that a lost node delays no change of configuration."""
    api_server_addresses: NotRequired[list[str]]
    """Address blocks in which the API server listens, for example ["10.0.0.0/24"]: on managed clusters that move it.
    Absent: its addresses at the time of the update."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class ControlPlane(pulumi.ComponentResource):
    """Deployment, Service, identity and rights of the control plane, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port of its xDS service inside the cluster."""

    def __init__(self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        replicas = int(args.get("replicas", manifests.REPLICAS))
        checks.require(
            f"ControlPlane '{name}'",
            checks.known_keys(args, ControlPlaneArgs.__annotations__),
            checks.present(args, "image"),
            checks.at_least("replicas", replicas, 1),
            api_server.block_faults("api_server_addresses", args.get("api_server_addresses", [])),
            checks.labels("labels", args.get("labels", {})),
        )
        super().__init__("headrace:index:ControlPlane", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = manifests.standard_labels(names.ROUTING, args.get("labels", {}))
        space = names.SYSTEM_NAMESPACE

        role_name = f"headrace-{names.ROUTING}"
        role = KubernetesObject(f"{name}-role", manifests.cluster_role(role_name, labels=labels, rules=RULES), child)
        granted = manifests.role_binding(role_name, names.ROUTING, labels=labels)
        binding = KubernetesObject(f"{name}-binding", granted, pulumi.ResourceOptions(parent=self, depends_on=[role]))
        # No output: the Secrets by which proxies and control plane know each other, for which the proxies' pods wait.
        self.identities = identity_secrets(name, labels=labels, opts=child)
        way = api_server.api_server_rules(name, child, args.get("api_server_addresses", ()))
        service = platform_program(
            names.ROUTING,
            name=name,
            parent=self,
            labels=labels,
            pod=controller_pod(
                names.ROUTING,
                module="routing.ads",
                image=args["image"],
                labels=labels,
                ports={"xds": names.XDS_PORT},
                volumes=[identity_volume(names.ROUTING)],
            ),
            policy=network_policies.control_plane(space, labels=labels, api_server=way),
            replicas=replicas,
            port=manifests.service_port("xds", names.XDS_PORT, protocol="https"),
            after=[binding, *self.identities],
        )
        self.address = service.urn.apply(lambda _: address(names.ROUTING, names.XDS_PORT))
        self.register_outputs({"address": self.address})
