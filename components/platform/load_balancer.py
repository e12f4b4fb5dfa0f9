"""LoadBalancer: the Envoys between the PopProxy and the model pods.

They get their configuration from the control plane and choose the less busy of two random pods. Nothing here is
reachable from outside the cluster.
"""

from typing import NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import checks, manifests, network_policies
from headrace.components.platform.platform_program import address, platform_program
from headrace.components.platform.proxy_pod import config_data, proxy_bootstrap, proxy_pod
from headrace.contract import names


class LoadBalancerArgs(TypedDict):
    """Inputs of LoadBalancer."""

    image: pulumi.Input[str]
    """Image that holds Envoy, pinned by digest."""
    replicas: NotRequired[int]
    """Copies. Default 2, so that a lost node does not stop traffic."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class LoadBalancer(pulumi.ComponentResource):
    """Deployment and Service of the load balancer, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port inside the cluster."""

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        replicas = int(args.get("replicas", manifests.REPLICAS))
        checks.require(
            f"LoadBalancer '{name}'",
            checks.known_keys(args, LoadBalancerArgs.__annotations__),
            checks.present(args, "image"),
            checks.at_least("replicas", replicas, 1),
            checks.labels("labels", args.get("labels", {})),
        )
        super().__init__("headrace:index:LoadBalancer", name, dict(args), opts)
        program, port = names.LOAD_BALANCER, names.LOAD_BALANCER_PORT
        labels = manifests.standard_labels(program, args.get("labels", {}))
        bootstrap = proxy_bootstrap(program)
        service = platform_program(
            program,
            name=name,
            parent=self,
            labels=labels,
            pod=proxy_pod(program, image=args["image"], labels=labels, port=port, bootstrap=bootstrap),
            policy=network_policies.load_balancer(names.SYSTEM_NAMESPACE, labels=labels),
            replicas=replicas,
            port=manifests.service_port("proxy", port, protocol="kubernetes.io/h2c"),
            files=config_data(bootstrap),
        )
        self.address = service.urn.apply(lambda _: address(program, port))
        self.register_outputs({"address": self.address})
