"""Management: the program that tells callers of the endpoints that they may call, in the words of Databricks' clients.

Only the PopProxy reaches it. It may read ModelEndpoints everywhere, and pods and their logs in namespaces of endpoints,
where ModelEndpoint binds the role PODS_ROLE. It writes nothing, and no request to a model waits for it.
"""

from typing import Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import api_server, checks, manifests, network_policies
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.controller_pod import controller_pod
from headrace.components.platform.platform_program import address, platform_program
from headrace.contract import names

READ_ROLE: Final = f"headrace-{names.MANAGEMENT}"
READ_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.MODEL_ENDPOINT_PLURAL], "verbs": ["get", "list", "watch"]},
]
PODS_ROLE: Final = f"headrace-{names.MANAGEMENT}-pods"
"""ClusterRole with what it reads of an endpoint's pods; bound in the namespaces of endpoints."""
PODS_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]


class ManagementArgs(TypedDict):
    """Inputs of Management."""

    image: pulumi.Input[str]
    """Image of the control plane, which holds the management API too, pinned by digest."""
    replicas: NotRequired[int]
    """Copies. Default 2, so that a lost node leaves one that answers."""
    api_server_addresses: NotRequired[list[str]]
    """Address blocks in which the API server listens, for example ["10.0.0.0/24"]: on managed clusters that move it.
    Absent: its addresses at the time of the update."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class Management(pulumi.ComponentResource):
    """Deployment, Service, identity and rights of the management API, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port inside the cluster."""

    def __init__(self, name: str, args: ManagementArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        replicas = int(args.get("replicas", manifests.REPLICAS))
        checks.require(
            f"Management '{name}'",
            checks.known_keys(args, ManagementArgs.__annotations__),
            checks.present(args, "image"),
            checks.at_least("replicas", replicas, 1),
            api_server.block_faults("api_server_addresses", args.get("api_server_addresses", [])),
            checks.labels("labels", args.get("labels", {})),
        )
        super().__init__("headrace:index:Management", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        program, port = names.MANAGEMENT, names.MANAGEMENT_PORT
        labels = manifests.standard_labels(program, args.get("labels", {}))

        role = KubernetesObject(
            f"{name}-role", manifests.cluster_role(READ_ROLE, labels=labels, rules=READ_RULES), child
        )
        granted = manifests.role_binding(READ_ROLE, program, labels=labels)
        binding = KubernetesObject(f"{name}-binding", granted, pulumi.ResourceOptions(parent=self, depends_on=[role]))
        way = api_server.api_server_rules(name, child, args.get("api_server_addresses", ()))
        service = platform_program(
            program,
            name=name,
            parent=self,
            labels=labels,
            pod=controller_pod(
                program, module="routing.management", image=args["image"], labels=labels, ports={"http": port}
            ),
            policy=network_policies.management(names.SYSTEM_NAMESPACE, labels=labels, api_server=way),
            replicas=replicas,
            port=manifests.service_port("http", port, protocol="http"),
            after=[binding],
        )
        self.address = service.urn.apply(lambda _: address(program, port))
        self.register_outputs({"address": self.address})


def pods_grant(namespace: str, *, labels: manifests.Labels) -> manifests.Manifest:
    """Its right to read the pods of this namespace, and their logs."""
    return manifests.role_binding(PODS_ROLE, names.MANAGEMENT, labels=labels, namespace=namespace)
