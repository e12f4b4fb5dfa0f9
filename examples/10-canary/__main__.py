"""A model whose new versions prove themselves on a share of the traffic, and take themselves back."""

import pulumi

from headrace.components import ModelEndpoint, ServingPlatform

config = pulumi.Config()
delivery = {"kind": "registry", "repository": config.require("registry")}

platform = ServingPlatform("platform", {"image_delivery": delivery, "host": config.require("host")})
fraud = ModelEndpoint(
    "fraud",
    {
        "platform": platform.ref,
        "model_uri": config.require("model_uri"),
        "rollout": {
            "steps": [5, 25, 50],  # percent; {} has the same, and gates that need no numbers
            "bake_seconds": 300,
            "changed_percent": 1,  # of predictions, where the new version is to decide as the old one
        },
    },
)

pulumi.export("url", fraud.url)
