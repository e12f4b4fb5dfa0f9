"""The Pulumi components of Headrace. What `__all__` names is public, and so is `headrace.components.testing`.

A component's module is loaded when its name is first used: Pulumi's provider process, which runs for certificates and
images, would otherwise load MLflow and every component to use none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from headrace.components.cluster.serving_cluster import ServingCluster as ServingCluster
    from headrace.components.endpoint.model_endpoint import ModelEndpoint as ModelEndpoint
    from headrace.components.endpoint.model_endpoint import require_servable as require_servable
    from headrace.components.endpoint.model_image import ModelImage as ModelImage
    from headrace.components.platform.autoscaler import Autoscaler as Autoscaler
    from headrace.components.platform.control_plane import ControlPlane as ControlPlane
    from headrace.components.platform.load_balancer import LoadBalancer as LoadBalancer
    from headrace.components.platform.management import Management as Management
    from headrace.components.platform.observability import Observability as Observability
    from headrace.components.platform.platform_image import PlatformImage as PlatformImage
    from headrace.components.platform.pop_proxy import PopProxy as PopProxy
    from headrace.components.platform.serving_platform import ServingPlatform as ServingPlatform

_MODULES: Final = {
    "Autoscaler": "platform.autoscaler",
    "ControlPlane": "platform.control_plane",
    "LoadBalancer": "platform.load_balancer",
    "Management": "platform.management",
    "ModelEndpoint": "endpoint.model_endpoint",
    "ModelImage": "endpoint.model_image",
    "Observability": "platform.observability",
    "PlatformImage": "platform.platform_image",
    "PopProxy": "platform.pop_proxy",
    "ServingCluster": "cluster.serving_cluster",
    "ServingPlatform": "platform.serving_platform",
    "require_servable": "endpoint.model_endpoint",
}
COMPONENTS: Final = tuple(name for name in _MODULES if name != "require_servable")
"""Names of the components, which the plugin serves to other languages."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
