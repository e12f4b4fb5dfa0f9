"""The Pulumi components of Headrace. Everything named here is public; everything else may change.

A component's module is loaded when its name is first used: Pulumi's provider process, which runs for certificates and
images, would otherwise load MLflow and every component to use none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from headrace.components.autoscaler import Autoscaler
    from headrace.components.control_plane import ControlPlane
    from headrace.components.load_balancer import LoadBalancer
    from headrace.components.model_endpoint import ModelEndpoint
    from headrace.components.model_image import ModelImage
    from headrace.components.observability import Observability
    from headrace.components.platform_image import PlatformImage
    from headrace.components.pop_proxy import PopProxy
    from headrace.components.serving_cluster import ServingCluster
    from headrace.components.serving_platform import ServingPlatform

_MODULES: Final = {
    "Autoscaler": "autoscaler",
    "ControlPlane": "control_plane",
    "LoadBalancer": "load_balancer",
    "ModelEndpoint": "model_endpoint",
    "ModelImage": "model_image",
    "Observability": "observability",
    "PlatformImage": "platform_image",
    "PopProxy": "pop_proxy",
    "ServingCluster": "serving_cluster",
    "ServingPlatform": "serving_platform",
}

__all__ = [
    "Autoscaler",
    "ControlPlane",
    "LoadBalancer",
    "ModelEndpoint",
    "ModelImage",
    "Observability",
    "PlatformImage",
    "PopProxy",
    "ServingCluster",
    "ServingPlatform",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
