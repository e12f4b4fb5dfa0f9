"""ControlPlane: the program that turns ModelEndpoint objects and EndpointSlices into the proxies' configuration.

Its rights are the least that work: it reads those two kinds and lists pods everywhere, writes the status of
ModelEndpoints, and reads the cluster's token-issuer documents. No secrets, no wildcards. Proxies keep serving while it
is away.
"""

from typing import Final, NotRequired, TypedDict

import pulumi

from headrace.components import checks, flows, manifests, pods
from headrace.components.kubernetes_object import ApiServerEndpoints, KubernetesObject
from headrace.components.platform_program import platform_program
from headrace.contract import names

_READ: Final = ["get", "list", "watch"]

RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.MODEL_ENDPOINT_PLURAL], "verbs": _READ},
    {
        "apiGroups": [names.API_GROUP],
        "resources": [f"{names.MODEL_ENDPOINT_PLURAL}/status"],
        "verbs": ["get", "patch", "update"],
    },
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
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class ControlPlane(pulumi.ComponentResource):
    """Deployment, Service, identity and rights of the control plane, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port of its xDS service inside the cluster."""

    def __init__(self, name: str, args: ControlPlaneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        replicas = int(args.get("replicas", 2))
        checks.require(
            f"ControlPlane '{name}'",
            checks.known_keys(args, ControlPlaneArgs.__annotations__),
            checks.present(args, "image"),
            checks.at_least("replicas", replicas, 1),
            checks.labels("labels", args.get("labels", {})),
        )
        super().__init__("headrace:index:ControlPlane", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = manifests.standard_labels(names.ROUTING, args.get("labels", {}))
        selector = {names.COMPONENT_LABEL: names.ROUTING}
        space = names.SYSTEM_NAMESPACE

        role_name = f"headrace-{names.ROUTING}"
        role = KubernetesObject(f"{name}-role", manifests.cluster_role(role_name, labels=labels, rules=RULES), child)
        binding = KubernetesObject(
            f"{name}-binding",
            manifests.cluster_role_binding(role_name, labels=labels, account=names.ROUTING, account_namespace=space),
            pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )
        ports = ApiServerEndpoints(f"{name}-api-server", child).ports.apply(flows.api_server_ports)
        platform_program(
            names.ROUTING,
            name=name,
            parent=self,
            labels=labels,
            pod=pods.controller_pod(names.ROUTING, image=args["image"], labels=labels, ports={"xds": names.XDS_PORT}),
            policy=flows.control_plane(space, labels=labels, api_server_ports=ports),
            replicas=replicas,
            after=[binding],
        )
        service = KubernetesObject(
            f"{name}-service",
            manifests.service(
                names.ROUTING,
                space,
                labels=labels,
                selector=selector,
                ports=[manifests.service_port("xds", names.XDS_PORT, protocol="kubernetes.io/h2c")],
            ),
            child,
        )
        self.address = service.urn.apply(lambda _: f"{names.ROUTING}.{space}.svc:{names.XDS_PORT}")
        self.register_outputs({"address": self.address})
