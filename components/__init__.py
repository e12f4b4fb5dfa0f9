"""The Pulumi components of Headrace. What `__all__` names is public, and so is `headrace.components.testing`.

A component's module is loaded when its name is first used: Pulumi's provider process, which runs for certificates and
images, would otherwise load MLflow and every component to use none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from headrace.components.cluster.adopted_gpu_node_pool import AdoptedGpuNodePool as AdoptedGpuNodePool
    from headrace.components.cluster.eks.eks_cluster import EksCluster as EksCluster
    from headrace.components.cluster.eks.entrance import EksEntrance as EksEntrance
    from headrace.components.cluster.eks.karpenter import Karpenter as Karpenter
    from headrace.components.cluster.eks.network import EksNetwork as EksNetwork
    from headrace.components.cluster.gpu_node_pool import GpuNodePool as GpuNodePool
    from headrace.components.cluster.serving_cluster import ServingCluster as ServingCluster
    from headrace.components.endpoint.model_endpoint import ModelEndpoint as ModelEndpoint
    from headrace.components.endpoint.model_endpoint import require_servable as require_servable
    from headrace.components.endpoint.model_image import ModelImage as ModelImage
    from headrace.components.monitoring.monitoring import Monitoring as Monitoring
    from headrace.components.platform.activator import Activator as Activator
    from headrace.components.platform.autoscaler import Autoscaler as Autoscaler
    from headrace.components.platform.collector import Collector as Collector
    from headrace.components.platform.console import Console as Console
    from headrace.components.platform.control_plane import ControlPlane as ControlPlane
    from headrace.components.platform.load_balancer import LoadBalancer as LoadBalancer
    from headrace.components.platform.management import Management as Management
    from headrace.components.platform.observability import Observability as Observability
    from headrace.components.platform.platform_image import PlatformImage as PlatformImage
    from headrace.components.platform.pop_proxy import PopProxy as PopProxy
    from headrace.components.platform.rollout_controller import RolloutController as RolloutController
    from headrace.components.platform.serving_platform import ServingPlatform as ServingPlatform
    from headrace.components.platform.table_writer import TableWriter as TableWriter

_MODULES: Final = {
    "Activator": "platform.activator",
    "AdoptedGpuNodePool": "cluster.adopted_gpu_node_pool",
    "Autoscaler": "platform.autoscaler",
    "Collector": "platform.collector",
    "Console": "platform.console",
    "ControlPlane": "platform.control_plane",
    "EksCluster": "cluster.eks.eks_cluster",
    "EksEntrance": "cluster.eks.entrance",
    "EksNetwork": "cluster.eks.network",
    "GpuNodePool": "cluster.gpu_node_pool",
    "Karpenter": "cluster.eks.karpenter",
    "LoadBalancer": "platform.load_balancer",
    "Management": "platform.management",
    "ModelEndpoint": "endpoint.model_endpoint",
    "ModelImage": "endpoint.model_image",
    "Monitoring": "monitoring.monitoring",
    "Observability": "platform.observability",
    "PlatformImage": "platform.platform_image",
    "PopProxy": "platform.pop_proxy",
    "ServingCluster": "cluster.serving_cluster",
    "RolloutController": "platform.rollout_controller",
    "ServingPlatform": "platform.serving_platform",
    "TableWriter": "platform.table_writer",
    "require_servable": "endpoint.model_endpoint",
}
COMPONENTS: Final = tuple(name for name in _MODULES if name != "require_servable")
"""Names of the components, which the plugin serves to other languages."""
NEED_AWS: Final = frozenset(("EksCluster", "EksEntrance", "EksNetwork", "GpuNodePool"))
"""Those of them that can be had only with the extra `aws`."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
