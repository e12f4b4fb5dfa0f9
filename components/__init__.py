"""The Pulumi components of Headrace. Everything named here is public; everything else may change."""

from headrace.components.model_endpoint import ModelEndpoint
from headrace.components.serving_cluster import ServingCluster
from headrace.components.serving_platform import ServingPlatform

__all__ = ["ModelEndpoint", "ServingCluster", "ServingPlatform"]
