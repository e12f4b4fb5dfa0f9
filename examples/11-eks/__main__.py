"""A cluster of Amazon EKS with GPUs that are there when a model wants them, and a model on one."""

import pulumi
import pulumi_kubernetes

from headrace.components import EksCluster, EksEntrance, GpuNodePool, Karpenter, ModelEndpoint, ServingPlatform

config = pulumi.Config()
host = config.require("host")

cluster = EksCluster("models", {"public_access": [config.require("office")]})
kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=cluster.kubeconfig)
there = pulumi.ResourceOptions(provider=kubernetes)

karpenter = Karpenter("karpenter", {"cluster": cluster.ref}, there)
after = pulumi.ResourceOptions(provider=kubernetes, depends_on=[karpenter])
l4 = GpuNodePool("l4", {"cluster": cluster.ref, "gpu": "l4", "max_nodes": 4}, after)

EksEntrance("entrance", {"cluster": cluster.ref, "host": host, "zone_id": config.require("zone_id")})
platform = ServingPlatform(
    "platform",
    {
        "image_delivery": {"kind": "registry", "repository": cluster.repository},
        "exposure": "node_port",
        "host": host,
        "api_server_addresses": ["10.0.0.0/16"],
    },
    there,
)
chat = ModelEndpoint(
    "chat",
    {
        "platform": platform.ref,
        "model_uri": config.require("model_uri"),
        "runtime": {"gpus": 1, "gpu_memory_gib": 24},
        "node_selector": {"serving.headrace.dev/gpu-pool": "l4"},
    },
    pulumi.ResourceOptions(provider=kubernetes, depends_on=[l4]),
)

pulumi.export("url", chat.url)
pulumi.export("ca", platform.ca_certificate)
