"""What a model pod may use: pure rules from what serves the model, the model's size and the user's constraints."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from headrace.components.endpoint.selection.choice import Runtime

_MIB: Final = 1024 * 1024
_DEEP_FLAVORS: Final = frozenset({"pytorch", "tensorflow", "keras", "transformers", "sentence_transformers", "fastai"})
_DEEP_BASE_MIB: Final = 2048
"""An engine with PyTorch or TensorFlow in it."""
_BASE_MIB: Final = {
    # Measured with a scikit-learn classifier: 206 MiB idle, 363 after one request of 15.5 MiB (67,000 rows), 590 after
    # three such requests at once.
    Runtime.MLFLOW: 768,
    Runtime.VLLM: _DEEP_BASE_MIB,
    Runtime.TRITON: 1024,
    Runtime.CUSTOM: 1024,
}
_COPIES: Final = {
    # A pickled model is on the heap about twice while it loads, and libraries keep working copies as they predict.
    Runtime.MLFLOW: 4,
    # It maps the weights and moves them to the GPU.
    Runtime.VLLM: 1,
    # Unpickling holds both file and model, and a second process loads its own.
    Runtime.TRITON: 3,
    Runtime.CUSTOM: 3,
}
_SHARED_MIB: Final = 1024
"""For each GPU, and at least once: processes of tensor parallelism (NCCL) and Triton's backends pass tensors there."""
_STEP_MIB: Final = 64
"""Sizes are rounded up to this, so that a retrained model of nearly the same size changes nothing else."""
_START_SECONDS: Final = 120
_ENGINE_START_SECONDS: Final = 900
GPU_RESOURCE: Final = "nvidia.com/gpu"
"""What NVIDIA's device plugin and GPU operator call a GPU; also the key of the taint on nodes that have some."""
_SLOW_DISK_BYTES_PER_SECOND: Final = 50 * _MIB
_DEFAULT_CPU: Final = 1.0
_VLLM_CPU: Final = 4.0
"""vLLM's HTTP server, scheduler and a process for each GPU."""
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
    memory_reason: str
    """Why that much memory, for people."""
    gpus: int = 0
    """NVIDIA GPUs, which nobody shares."""
    shared_memory_mib: int = 0
    """Of the memory, what processes of an engine may pass to each other through /dev/shm; 0 leaves 64 MiB there."""

    def manifest(self) -> dict[str, dict[str, str]]:
        """The container's `resources`."""
        memory = f"{self.memory_mib}Mi"
        devices = {GPU_RESOURCE: str(self.gpus)} if self.gpus else {}
        requests = {"cpu": _millicores(self.cpu_request), "memory": memory, "ephemeral-storage": "64Mi", **devices}
        limits = {"cpu": _millicores(self.cpu_limit), "memory": memory, "ephemeral-storage": "1Gi", **devices}
        return {"requests": requests, "limits": limits}


def allotment(
    runtime: Runtime,
    model_bytes: int,
    *,
    flavors: Iterable[str] = (),
    gpus: int = 0,
    cpu: float | None = None,
    memory_mib: int | None = None,
) -> Allotment:
    """The allotment for a model whose files take `model_bytes`, unless the user fixes `cpu` cores or `memory_mib`.

    Memory is a base and some copies of the model, rounded up to 64 MiB, and with an engine what its processes share.
    Cores are one, with vLLM four; a quarter of them is requested, or all beside GPUs, which are the dearest part of the
    node and wait for them.
    """
    limit = cpu if cpu is not None else _VLLM_CPU if runtime is Runtime.VLLM else _DEFAULT_CPU
    shared = 0 if runtime is Runtime.MLFLOW else _SHARED_MIB * max(1, gpus)
    if memory_mib is None:
        base, copies = _BASE_MIB[runtime], _COPIES[runtime]
        if runtime is not Runtime.MLFLOW and _DEEP_FLAVORS.intersection(flavors):
            base = _DEEP_BASE_MIB
        memory_mib = math.ceil((base + copies * model_bytes / _MIB) / _STEP_MIB) * _STEP_MIB + shared
        parts = [f"{base} for the environment", f"{copies} x {model_bytes / _MIB:.0f} for the model"]
        parts += [f"{shared} shared by its processes"] if shared else []
        reason = f"memory {memory_mib} MiB: {', '.join(parts)}"
    else:
        reason = f"memory_mib = {memory_mib}, as asked"
    return Allotment(
        cpu_request=limit if gpus else limit * _REQUESTED_SHARE,
        cpu_limit=limit,
        memory_mib=memory_mib,
        memory_reason=reason,
        gpus=gpus,
        shared_memory_mib=shared,
    )


def start_seconds(runtime: Runtime, model_bytes: int) -> int:
    """How long a pod may take to answer: 120 s, with an engine 900 s, and a second for each 50 MiB of the model's
    files, which a slow disk reads in that time.

    Starting our processes and importing a model's libraries takes 5 to 60 s of a small share of a core. vLLM has been
    seen to need 277 s for what is not reading weights (profiling, compiling, CUDA graphs) with a 70B model, and 110 s
    on two CPU cores with a tiny one; a GPU node that is new still has to pull 10 GB of image.
    """
    start = _START_SECONDS if runtime is Runtime.MLFLOW else _ENGINE_START_SECONDS
    return start + math.ceil(model_bytes / _SLOW_DISK_BYTES_PER_SECOND)


def _millicores(cores: float) -> str:
    return f"{round(cores * 1000)}m"
