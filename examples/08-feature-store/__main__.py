"""A model that reads a feature store in the same cluster, with a token from a Secret that somebody else makes."""

import pulumi

from headrace.components import ModelEndpoint, ServingPlatform

config = pulumi.Config()
delivery = {"kind": "registry", "repository": config.require("registry")}

platform = ServingPlatform("platform", {"image_delivery": delivery, "host": config.require("host")})
churn = ModelEndpoint(
    "churn",
    {
        "platform": platform.ref,
        "model_uri": "models:/churn/1",
        "environment": {
            "FEAST_URL": "http://feature-server.feast:6566",
            "FEAST_TOKEN": {"secret": "feast-reader", "key": "token"},
        },
        "egress": [{"namespace": "feast", "pod_labels": {"app": "feature-server"}, "ports": [6566]}],
    },
)

pulumi.export("url", churn.url)
