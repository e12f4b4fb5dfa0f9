"""One model on the cluster that kubectl uses now."""

import pulumi

from headrace.components import ModelEndpoint, ServingPlatform

registry = pulumi.Config().require("registry")

platform = ServingPlatform("platform", {"image_delivery": {"kind": "registry", "repository": registry}})
fraud = ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": "models:/fraud/7"})

pulumi.export("url", fraud.url)
pulumi.export("ca", platform.ca_certificate)
pulumi.export("platform", platform.ref)
