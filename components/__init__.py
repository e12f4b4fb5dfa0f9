"""The Pulumi components of Headrace. Everything named here is public; everything else may change."""

from headrace.components.control_plane import ControlPlane
from headrace.components.load_balancer import LoadBalancer
from headrace.components.model_endpoint import ModelEndpoint
from headrace.components.model_image import ModelImage
from headrace.components.platform_image import PlatformImage
from headrace.components.pop_proxy import PopProxy
from headrace.components.serving_cluster import ServingCluster
from headrace.components.serving_platform import ServingPlatform

__all__ = [
    "ControlPlane",
    "LoadBalancer",
    "ModelEndpoint",
    "ModelImage",
    "PlatformImage",
    "PopProxy",
    "ServingCluster",
    "ServingPlatform",
]
