"""LoadBalancer: the Envoys between the PopProxy and the model pods.

They learn endpoints from the control plane and pick the less busy of two random pods. Not created here: anything that
is reachable from outside the cluster.
"""

from typing import NotRequired, TypedDict

import pulumi

from headrace.components import checks, envoy_bootstrap, flows, manifests, pods
from headrace.components.kubernetes_object import KubernetesObject
from headrace.components.platform_program import platform_program
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
        replicas = int(args.get("replicas", 2))
        checks.require(
            f"LoadBalancer '{name}'",
            checks.known_keys(args, LoadBalancerArgs.__annotations__),
            checks.present(args, "image"),
            checks.at_least("replicas", replicas, 1),
            checks.labels("labels", args.get("labels", {})),
        )
        super().__init__("headrace:index:LoadBalancer", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = manifests.standard_labels(names.LOAD_BALANCER, args.get("labels", {}))
        selector = {names.COMPONENT_LABEL: names.LOAD_BALANCER}
        space = names.SYSTEM_NAMESPACE
        bootstrap = envoy_bootstrap.bootstrap(names.LOAD_BALANCER)

        config = KubernetesObject(
            f"{name}-config",
            manifests.config_map(names.LOAD_BALANCER, space, labels=labels, data=pods.config_data(bootstrap)),
            child,
        )
        platform_program(
            names.LOAD_BALANCER,
            name=name,
            parent=self,
            labels=labels,
            pod=pods.proxy_pod(
                names.LOAD_BALANCER,
                image=args["image"],
                account=names.LOAD_BALANCER,
                labels=labels,
                port=names.LOAD_BALANCER_PORT,
                bootstrap=bootstrap,
            ),
            policy=flows.load_balancer(space, labels=labels),
            replicas=replicas,
            after=[config],
        )
        service = KubernetesObject(
            f"{name}-service",
            manifests.service(
                names.LOAD_BALANCER,
                space,
                labels=labels,
                selector=selector,
                ports=[manifests.service_port("proxy", names.LOAD_BALANCER_PORT, protocol="kubernetes.io/h2c")],
            ),
            child,
        )
        self.address = service.urn.apply(lambda _: f"{names.LOAD_BALANCER}.{space}.svc:{names.LOAD_BALANCER_PORT}")
        self.register_outputs({"address": self.address})
