"""An agent: a secret that it reads, and the one host that it calls."""

import pulumi

from headrace.components import ModelEndpoint, ServingPlatform

config = pulumi.Config()
delivery = {"kind": "registry", "repository": config.require("registry")}

platform = ServingPlatform("platform", {"image_delivery": delivery, "host": config.require("host")})
support = ModelEndpoint(
    "support",
    {
        "platform": platform.ref,
        "model_uri": "models:/support/1",
        "environment": {"OPENAI_API_KEY": config.require_secret("openai_api_key")},
        "egress": [{"host": "api.openai.com", "ports": [443]}],
    },
)

pulumi.export("url", support.url)
