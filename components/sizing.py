"""What a model pod may use: a pure rule from the model's size and the user's constraints, if any."""

import math
from dataclasses import dataclass
from typing import Final

from headrace.contract.runtime import RuntimeChoice

_MIB: Final = 1024 * 1024
_BASE_MEMORY_MIB: Final = 768
"""Measured with a scikit-learn classifier: 206 MiB idle, 363 after one request of 15.5 MiB (67,000 rows), 590 after
three such requests at once."""
_COPIES: Final = 4
"""A pickled model is on the heap about twice while it loads, and libraries keep working copies as they predict."""
_STEP_MIB: Final = 64
"""Sizes are rounded up to this, so that a retrained model of nearly the same size changes nothing else."""
_START_SECONDS: Final = 120
_ENGINE_START_SECONDS: Final = 900
_GIB_MIB: Final = 1024
GPU_RESOURCE: Final = "nvidia.com/gpu"
"""What NVIDIA's device plugin and GPU operator call a GPU; also the key of the taint on nodes that have some."""
_SLOW_DISK_BYTES_PER_SECOND: Final = 50 * _MIB
_DEFAULT_CPU: Final = 1.0
_REQUESTED_SHARE: Final = 0.25
"""Endpoints are idle most of the time; the request is what a pod is sure of when all neighbours are busy at once."""


@dataclass(frozen=True, kw_only=True)
class Allotment:
    """Resources of one model pod."""

    cpu_request: float
    """Cores the scheduler sets aside."""
    cpu_limit: float
    """Cores it may use; the front derives its number of worker processes from this."""
    memory_mib: int
    """Both request and limit: memory that is promised twice is taken from a neighbour by the kernel's killer."""
    gpus: int = 0
    """NVIDIA GPUs, which nobody shares."""
    shared_memory_mib: int = 0
    """Of the memory, what processes of an engine may pass to each other through /dev/shm; 0 leaves 64 MiB there."""

    def manifest(self) -> dict[str, dict[str, str]]:
        """The container's `resources`."""
        memory = f"{self.memory_mib}Mi"
        devices = {GPU_RESOURCE: str(self.gpus)} if self.gpus else {}
        return {
            "requests": {
                "cpu": _millicores(self.cpu_request),
                "memory": memory,
                "ephemeral-storage": "64Mi",
                **devices,
            },
            "limits": {"cpu": _millicores(self.cpu_limit), "memory": memory, "ephemeral-storage": "1Gi", **devices},
        }


def allotment(model_bytes: int, *, cpu: float | None = None, memory_mib: int | None = None, gpus: int = 0) -> Allotment:
    """The allotment for a model whose files take `model_bytes`, unless the user fixes `cpu` cores or `memory_mib`.

    Memory is 768 MiB + 4 times the model, rounded up to 64 MiB; the CPU limit is one core, the request a quarter of it,
    or all of it beside a GPU, which waits for it.
    """
    limit = _DEFAULT_CPU if cpu is None else cpu
    if memory_mib is None:
        needed = _BASE_MEMORY_MIB + _COPIES * model_bytes / _MIB
        memory_mib = math.ceil(needed / _STEP_MIB) * _STEP_MIB
    request = limit if gpus else limit * _REQUESTED_SHARE
    return Allotment(cpu_request=request, cpu_limit=limit, memory_mib=memory_mib, gpus=gpus)


def engine_allotment(choice: RuntimeChoice, *, cpu: float | None = None, memory_mib: int | None = None) -> Allotment:
    """The allotment of a pod in which an engine serves: what the choice says, and a GiB of shared memory for each GPU,
    through which the processes of tensor parallelism (NCCL) and Triton's backends pass tensors.

    A pod with GPUs is sure of all its cores: they feed the dearest part of the node.
    """
    limit = choice.cores if cpu is None else cpu
    shared = _GIB_MIB * max(1, choice.gpus)
    own = math.ceil(choice.memory_bytes / _MIB / _STEP_MIB) * _STEP_MIB
    return Allotment(
        cpu_request=limit if choice.gpus else limit * _REQUESTED_SHARE,
        cpu_limit=limit,
        memory_mib=own + shared if memory_mib is None else memory_mib,
        gpus=choice.gpus,
        shared_memory_mib=shared,
    )


def engine_start_seconds(model_bytes: int) -> int:
    """How long an engine may take to answer: 900 s, and a second for each 50 MiB.

    vLLM has been seen to need 277 s for what is not reading weights (profiling, compiling, CUDA graphs) with a 70B
    model, and 110 s on two CPU cores with a tiny one; a GPU node that is new still has to pull 10 GB of image.
    """
    return _ENGINE_START_SECONDS + math.ceil(model_bytes / _SLOW_DISK_BYTES_PER_SECOND)


def start_seconds(model_bytes: int) -> int:
    """How long a pod of a model whose files take `model_bytes` may take to answer: 120 s, and a second for each 50 MiB.

    Starting the processes and importing a model's libraries takes 5 to 60 s of a small share of a core; a slow disk
    reads 50 MiB a second.
    """
    return _START_SECONDS + math.ceil(model_bytes / _SLOW_DISK_BYTES_PER_SECOND)


def _millicores(cores: float) -> str:
    return f"{round(cores * 1000)}m"
