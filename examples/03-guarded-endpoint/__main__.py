"""An endpoint with bounds: callers, resources, time."""

import pulumi

from headrace.components import ModelEndpoint, ServingPlatform

registry = pulumi.Config().require("registry")

platform = ServingPlatform(
    "platform",
    {
        "image_delivery": {"kind": "registry", "repository": registry},
        "host": "models.example.com",
        "tls_secret": "models-tls",
        "replicas": 3,
    },
)
price = ModelEndpoint(
    "price",
    {
        "platform": platform.ref,
        "model_uri": "models:/price/12",
        "allowed_subjects": ["system:serviceaccount:shop:web"],
        "timeout_seconds": 5.0,
        "cpu": 2.0,
        "quota": {"cpu": 16.0, "memory_mib": 32768, "pods": 8},
    },
)

pulumi.export("url", price.url)
