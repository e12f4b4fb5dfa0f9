"""One model on a cluster, a registry and a tracking server of one's own."""

import pulumi
import pulumi_kubernetes

from headrace.components import ModelEndpoint, ServingCluster, ServingPlatform

config = pulumi.Config()
delivery = {"kind": "registry", "repository": config.require("registry")}

cluster = ServingCluster("cluster", {"kubeconfig": config.require("kubeconfig")})
kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=cluster.kubeconfig)
there = pulumi.ResourceOptions(provider=kubernetes)

platform = ServingPlatform("platform", {"image_delivery": delivery, "host": config.require("host")}, there)
fraud = ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": config.require("model_uri")}, there)

pulumi.export("url", fraud.url)
pulumi.export("address", platform.address)
pulumi.export("ca", platform.ca_certificate)
