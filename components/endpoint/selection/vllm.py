"""vLLM's command line, from the model and the GPUs, with reasons. Pure.

Flags are those of vLLM 0.32 (`vllm serve --help=all`).
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from headrace.components.endpoint.selection.choice import GIB, RuntimeRequest
from headrace.contract.errors import InputError
from headrace.contract.runtime import EnginePlan, Protocol

REQUIREMENTS: Final = ("vllm==0.32.0",)
"""The engine's own environment, in an image that is not built on the engine's."""
ENGINE_SHARE: Final = 0.7
"""Part of a GPU's memory that weights may take; the rest holds the KV cache, without which there is no batching."""
SEQUENCES: Final = 256
"""Requests that the front lets in at once at first, and that vLLM schedules together: its own default for a server."""


def sizing(
    mlmodel: Mapping[str, Any], size: int, asked: RuntimeRequest
) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """GPUs, the arguments that follow from them and from the weights, and the reasons."""
    stored = str(_flavor(mlmodel).get("torch_dtype", "")).removeprefix("torch.")
    arguments: list[str] = []
    reasons: list[str] = []
    if asked.gpus == 0:
        reasons.append("gpus = 0: vLLM on CPU cores, for trials; a GPU writes tokens some hundred times faster")
        return 0, ("--dtype=float32" if stored == "float32" else "--dtype=bfloat16", "--enforce-eager"), tuple(reasons)
    weights = size / 2 if stored == "float32" else size
    if stored == "float32":
        arguments.append("--dtype=bfloat16")
        reasons.append("stored as float32, served as bfloat16: half the memory, the same exponent range")
    usable = asked.gpu_memory_gib * GIB * ENGINE_SHARE
    if asked.gpu_has_fp8 and weights > usable:
        arguments.append("--quantization=fp8")
        reasons.append(f"{weights / GIB:.0f} GiB of weights: FP8 halves them, and the GPU multiplies FP8")
        weights /= 2
    needed = max(1, math.ceil(weights / usable))
    # attention heads divide by powers of two
    gpus = asked.gpus if asked.gpus is not None else 2 ** math.ceil(math.log2(needed))
    if gpus < needed:
        reasons.append(f"gpus = {gpus} is fewer than the {needed} that the weights need")
    if gpus > 1:
        arguments.append(f"--tensor-parallel-size={gpus}")
        reasons.append(f"{gpus} GPUs of {asked.gpu_memory_gib:.0f} GiB, weights in at most {ENGINE_SHARE:.0%} of each")
    arguments.append("--max-model-len=auto")
    reasons.append("the longest context that the KV cache has room for beside the weights: vLLM measures it at start")
    return gpus, tuple(arguments), tuple(reasons)


def plan(mlmodel: Mapping[str, Any], asked: RuntimeRequest, arguments: tuple[str, ...]) -> EnginePlan:
    """The server for one model logged with the transformers flavor; InputError when its weights were not logged."""
    flavor = _flavor(mlmodel)
    binary = flavor.get("model_binary")
    if not binary:
        fault = "runtime = vllm needs the weights beside the MLmodel file, and they were logged by reference; "
        fault += "log it with save_pretrained=True, or run mlflow.transformers.persist_pretrained_model"
        raise InputError("model", [fault])
    tokenizer: tuple[str, ...] = ()
    if "tokenizer" in (flavor.get("components") or ()):
        tokenizer = ("--tokenizer={model}/components/tokenizer",)
    python = "python3" if asked.image else "{python}"
    command = (
        *(python, "-m", "vllm.entrypoints.cli.main", "serve", f"{{model}}/{binary}"),
        *tokenizer,
        "--served-model-name={endpoint}",
        "--host=127.0.0.1",
        "--port={port}",
        f"--max-num-seqs={SEQUENCES}",
        # Without it vLLM aborts what runs when it is told to stop. The front stops it after the last request.
        "--shutdown-timeout={grace}",
        "--disable-access-log-for-endpoints=/health,/metrics",
        *arguments,
        *asked.arguments,
    )
    return EnginePlan(
        name="vllm",
        command=command,
        environment={
            "HF_HUB_OFFLINE": "1",  # pods reach nobody, and a model is what was logged
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "VLLM_CACHE_ROOT": "{home}/vllm",
        },
        protocol=Protocol.OPENAI,
        health="/health",
        metrics="{port}/metrics",
        concurrency=SEQUENCES,
    )


def _flavor(mlmodel: Mapping[str, Any]) -> Mapping[str, Any]:
    flavor: Mapping[str, Any] = (mlmodel.get("flavors") or {}).get("transformers") or {}
    return flavor
