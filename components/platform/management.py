"""Management: the program that tells callers of the endpoints that they may call, in the words of Databricks' clients.

Only the PopProxy reaches it. It may read ModelEndpoints everywhere, and pods and their logs in namespaces of endpoints,
where ModelEndpoint binds the role PODS_ROLE. It writes nothing, and no request to a model waits for it.
"""

from typing import Final

import pulumi

from headrace.components.kubernetes import manifests, network_policies
from headrace.components.platform.controller import READ, Controller, ControllerArgs, Grant, require
from headrace.contract import names

READ_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.MODEL_ENDPOINT_PLURAL], "verbs": READ},
]
PODS_ROLE: Final = f"headrace-{names.MANAGEMENT}-pods"
"""ClusterRole with what it reads of an endpoint's pods; bound in the namespaces of endpoints."""
PODS_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]
_MANAGEMENT: Final = Controller(
    program=names.MANAGEMENT,
    module="routing.management",
    grants=(Grant(role=f"headrace-{names.MANAGEMENT}", rules=READ_RULES),),
    policy=network_policies.management,
    port_name="http",
    port=names.MANAGEMENT_PORT,
)


class Management(pulumi.ComponentResource):
    """Deployment, Service, identity and rights of the management API, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port inside the cluster."""

    def __init__(self, name: str, args: ControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        require("Management", name, args)
        super().__init__("headrace:index:Management", name, dict(args), opts)
        service = _MANAGEMENT.register(self, name, args)
        self.address = service.urn.apply(lambda _: _MANAGEMENT.address)
        self.register_outputs({"address": self.address})


def pods_grant(namespace: str, *, labels: manifests.Labels) -> manifests.Manifest:
    """Its right to read the pods of this namespace, and their logs."""
    return manifests.role_binding(PODS_ROLE, names.MANAGEMENT, labels=labels, namespace=namespace)
