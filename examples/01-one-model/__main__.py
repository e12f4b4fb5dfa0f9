"""One model on the cluster that kubectl uses now."""

import pulumi

from headrace.components import ModelEndpoint, ServingPlatform

config = pulumi.Config()
delivery = {"kind": "registry", "repository": config.require("registry")}

platform = ServingPlatform("platform", {"image_delivery": delivery, "host": config.require("host")})
fraud = ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": "models:/fraud/7"})

pulumi.export("url", fraud.url)
pulumi.export("address", platform.address)
pulumi.export("ca", platform.ca_certificate)
pulumi.export("platform", platform.ref)
