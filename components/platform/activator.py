"""Activator: the program that says when requests for a version without a ready pod may go on, and to which pod.

The LoadBalancer keeps those requests and asks it; no byte of a request reaches it. It reads EndpointSlices and
AutopilotPodAutoscalers everywhere, and writes nothing: the autoscaler asks it what waits. One copy answers, the others
stand by.
"""

from typing import Final

import pulumi

from headrace.components.kubernetes import manifests, network_policies
from headrace.components.platform.controller import READ, Controller, ControllerArgs, Grant, require
from headrace.contract import names

READ_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    {"apiGroups": [names.API_GROUP], "resources": [names.APA_PLURAL], "verbs": READ},
]
"""Everything that the activator may do with the API server."""
_ACTIVATOR: Final = Controller(
    program=names.ACTIVATOR,
    module="routing.activator",
    grants=(Grant(role=f"headrace-{names.ACTIVATOR}", rules=READ_RULES),),
    policy=network_policies.activator,
    port_name="grpc",
    port=names.ACTIVATOR_PORT,
    protocol="kubernetes.io/h2c",
)


class Activator(pulumi.ComponentResource):
    """Deployment, Service, identity and rights of the activator, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port inside the cluster."""

    def __init__(self, name: str, args: ControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        require("Activator", name, args)
        super().__init__("headrace:index:Activator", name, dict(args), opts)
        service = _ACTIVATOR.register(self, name, args)
        self.address = service.urn.apply(lambda _: _ACTIVATOR.address)
        self.register_outputs({"address": self.address})
