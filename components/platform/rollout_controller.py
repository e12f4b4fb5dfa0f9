"""RolloutController: the program that moves traffic from one version of an endpoint to the next on evidence, and back.

It may read ModelEndpoints and EndpointSlices everywhere, write the status of ModelEndpoints, and ask the load balancers
for their counters. Shares that it has given stay while it is away.
"""

from typing import Final

import pulumi

from headrace.components.kubernetes import manifests, network_policies
from headrace.components.platform.controller import READ, Controller, ControllerArgs, Grant, lease_grant, require
from headrace.contract import names

RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.MODEL_ENDPOINT_PLURAL], "verbs": READ},
    {"apiGroups": [names.API_GROUP], "resources": [f"{names.MODEL_ENDPOINT_PLURAL}/status"], "verbs": ["get", "patch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
]
"""Everything it may do with the API server, besides its lease."""
_ROLLOUT: Final = Controller(
    program=names.ROLLOUT,
    module="routing.rollout",
    grants=(
        Grant(role=f"headrace-{names.ROLLOUT}", rules=RULES),
        lease_grant(f"headrace-{names.ROLLOUT}-lease"),
    ),
    policy=network_policies.rollout_controller,
)


class RolloutController(pulumi.ComponentResource):
    """Deployment, identity and rights of the rollout controller, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port inside the cluster of its health and its metrics."""

    def __init__(self, name: str, args: ControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        require("RolloutController", name, args)
        super().__init__("headrace:index:RolloutController", name, dict(args), opts)
        service = _ROLLOUT.register(self, name, args)
        self.address = service.urn.apply(lambda _: _ROLLOUT.address)
        self.register_outputs({"address": self.address})
