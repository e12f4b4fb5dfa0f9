"""What a deployer may ask of the choice of a runtime, and what is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from headrace.contract.declaration import Bounds, NotEmpty, Text
from headrace.contract.runtime import EnginePlan, Protocol

GIB: Final = 1024**3


class Runtime(StrEnum):
    """What runs in the pod."""

    MLFLOW = "mlflow"
    VLLM = "vllm"
    TRITON = "triton"
    CUSTOM = "custom"


@dataclass(frozen=True, kw_only=True)
class RuntimeRequest:
    """What the deployer asked for; all optional. The fields are those of the input EndpointRuntime."""

    kind: Runtime | None = None
    """Overrides the choice."""
    gpus: Annotated[int, Bounds(minimum=0)] | None = None
    """GPUs a pod gets; None leaves it to the model, 0 forbids them."""
    gpu_memory_gib: Annotated[float, Bounds(minimum=1)] = 80
    """Memory of one GPU of the kind that the cluster has."""
    gpu_has_fp8: bool = True
    """Whether that kind multiplies 8-bit floats (compute capability 8.9 and newer)."""
    command: tuple[NotEmpty, ...] = ()
    """custom: the server's command line."""
    protocol: Protocol | None = None
    """custom: what the server speaks."""
    health: str = ""
    """custom: path that answers 200 when the server can serve; empty takes the protocol's own."""
    arguments: tuple[NotEmpty, ...] = ()
    """Given to the engine after the arguments that follow from the model; the last one wins."""
    image: str = ""
    """Image that holds the engine, under every layer of ours; empty takes the runtime's own."""
    image_python: Annotated[str, Text(pattern=r"3\.[0-9]+", meaning="a minor version such as '3.12'")] = "3.12"
    """Minor version of the Python in it."""


@dataclass(frozen=True, kw_only=True)
class RuntimeChoice:
    """The runtime, its GPUs and its part of the image, and why."""

    runtime: Runtime
    gpus: int
    reasons: tuple[str, ...] = ()
    engine: EnginePlan | None = None
    """None where our own workers serve the model."""
    requirements: tuple[str, ...] | None = None
    """What the image's environment holds instead of the model's own requirements; None: the model's own."""
    more_requirements: tuple[str, ...] = ()
    """What it holds besides."""
    base: Mapping[str, str] | None = None
    """What lies under every layer, as images.request.Base reads it: an engine's image. None: what the platform says."""
