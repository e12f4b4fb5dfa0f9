"""The program: settings, then components, then exports. Decisions live in the components."""

import pulumi
import pulumi_kubernetes

from headrace.components import ModelEndpoint, ServingCluster, ServingPlatform, require_servable
from headrace.stacks import settings

stack = settings.read()
models = require_servable(stack.endpoints)

cluster = ServingCluster("cluster", stack.cluster)
kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=cluster.kubeconfig)
on_cluster = pulumi.ResourceOptions(provider=kubernetes)

platform = ServingPlatform("platform", stack.platform, on_cluster)
endpoints = {
    name: ModelEndpoint(name, {"platform": platform.ref, **args}, on_cluster, source=models[name])
    for name, args in stack.endpoints.items()
}

pulumi.export("url", platform.url)
pulumi.export("address", platform.address)
pulumi.export("ca_certificate", platform.ca_certificate)
pulumi.export("platform", platform.ref)
pulumi.export("endpoints", {name: endpoint.url for name, endpoint in endpoints.items()})
