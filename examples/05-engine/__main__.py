"""An endpoint that Triton serves, because the deployer says so."""

import pulumi

from headrace.components import ModelEndpoint, ServingPlatform

registry = pulumi.Config().require("registry")

platform = ServingPlatform(
    "platform", {"image_delivery": {"kind": "registry", "repository": registry}, "host": "models.example.com"}
)
churn = ModelEndpoint(
    "churn",
    {
        "platform": platform.ref,
        "model_uri": "models:/churn/4",
        "cpu": 2.0,
        "runtime": {"kind": "triton"},
    },
)

pulumi.export("url", churn.url)
pulumi.export("runtime", churn.runtime_kind)
