"""EndpointPlan: what a program is about to make of one version of an endpoint, as data for forecasts. Pure."""

from dataclasses import dataclass

from headrace.components.endpoint.endpoint_inputs import CheckedInputs
from headrace.components.endpoint.model_version import ModelVersion
from headrace.components.endpoint.selection.choice import RuntimeChoice
from headrace.components.endpoint.sizing import Allotment
from headrace.components.kubernetes.manifests import Manifest
from headrace.contract.apa import AutoscalerSpec
from headrace.contract.codec import decode


@dataclass(frozen=True, kw_only=True)
class EndpointPlan:
    """One version of an endpoint as inputs and model have settled it; known in a preview."""

    version: str
    """Name of the version, which is the name of its Deployment too."""
    choice: RuntimeChoice
    """What serves it, and why."""
    allotment: Allotment
    """Resources of one pod."""
    scale: AutoscalerSpec
    """Bounds within which the autoscaler works."""
    pods_most: int | None
    """The quota's bound on pods; None where there is none."""
    gpu_memory_gib: float
    """Memory of one GPU of the kind that the pods ask for; of no meaning where they ask for none."""
    pod: Manifest
    """The pod template. Values may be outputs: secrets, and the image, which is known once it is built."""

    @classmethod
    def of(cls, version: ModelVersion, spec: CheckedInputs) -> "EndpointPlan":
        """The plan of a version of an endpoint with these inputs."""
        asked = version.asked
        return cls(
            version=version.name,
            choice=version.image.choice,
            allotment=version.allotment,
            scale=decode(AutoscalerSpec, {} if asked.scale is None else asked.scale, known={"target": version.name}),
            pods_most=spec.quota.pods,
            gpu_memory_gib=version.gpu_memory_gib,
            pod=version.pod,
        )
