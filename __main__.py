"""The program: settings, then components, then exports. Decisions live in the components."""

import pulumi
import pulumi_kubernetes

from headrace.components import ModelEndpoint, ServingCluster, ServingPlatform, require_servable
from headrace.stacks import forecast, promotion, settings

stack = settings.read()
models = require_servable(stack.endpoints)

cluster = ServingCluster("cluster", stack.cluster)
kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=cluster.kubeconfig)
on_cluster = pulumi.ResourceOptions(provider=kubernetes)

nodes = {"architectures": cluster.architectures, "image_volumes": cluster.image_volumes}
platform = ServingPlatform("platform", {**nodes, **stack.platform}, on_cluster)
endpoints = {
    name: ModelEndpoint(name, {"platform": platform.ref, **args}, on_cluster, sources=models[name])
    for name, args in stack.endpoints.items()
}
forecast.tell(endpoints, kubeconfig=cluster.kubeconfig, prices=stack.prices)

pulumi.export("url", platform.url)
pulumi.export("address", platform.address)
pulumi.export("ca_certificate", platform.ca_certificate)
pulumi.export("platform", platform.ref)
pulumi.export("endpoints", {name: endpoint.url for name, endpoint in endpoints.items()})
pulumi.export("evidence", promotion.evidence(endpoints, stack.evidence_key))
