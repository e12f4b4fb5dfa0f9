"""Which runtime serves a model: a pure function of its MLmodel file and of what the deployer asked for.

The rules read top to bottom; the first that applies decides, and says why. docs/runtimes.md has the same table.
"""

from collections.abc import Mapping
from typing import Any, Final

from headrace.components.endpoint.selection import custom, triton, vllm
from headrace.components.endpoint.selection.choice import GIB, Runtime, RuntimeChoice, RuntimeRequest
from headrace.contract.errors import InputError
from headrace.contract.runtime import EnginePlan

TEXT_GENERATION_TASKS: Final = frozenset(
    {"text-generation", "text2text-generation", "summarization", "conversational", "llm/v1/chat", "llm/v1/completions"}
)
"""Tasks of MLflow's transformers flavor that an LLM engine runs."""
EMBEDDING_TASKS: Final = frozenset({"llm/v1/embeddings", "feature-extraction"})
"""Those that a text-embedding engine runs."""
AGENTS: Final = {
    "agent/v1/chat": "ChatModel",
    "agent/v2/chat": "ChatAgent",
    "agent/v1/responses": "ResponsesAgent",
    "mlflow.pyfunc.loaders.chat_model": "ChatModel",
    "mlflow.pyfunc.loaders.chat_agent": "ChatAgent",
    "mlflow.pyfunc.loaders.responses_agent": "ResponsesAgent",
}
"""By task, and by loader for models of MLflow versions that wrote no task. What is logged from code has the loader of
all models from code."""
WAITING_FLAVORS: Final = frozenset({"langchain", "llama_index", "openai", "dspy", "haystack", "ag2"})
"""Flavors whose models spend their time waiting for other services."""
GPU_BYTES: Final = 2 * GIB
"""A text-generation model larger than this is too slow without a GPU to be called served: at 2 GiB a CPU that reads
50 GB/s writes some 20 tokens a second for one caller."""


def select(mlmodel: Mapping[str, Any], request: RuntimeRequest | None = None) -> RuntimeChoice:
    """Chooses for one model. InputError names every reason why it cannot be served as asked."""
    asked = RuntimeRequest() if request is None else request
    flavors: Mapping[str, Any] = mlmodel.get("flavors") or {}
    reasons: list[str] = []
    if asked.kind is Runtime.CUSTOM:
        reasons.append("runtime = custom: the deployer's own server answers; it must speak one of the protocols")
        return _choice(Runtime.CUSTOM, mlmodel, asked, reasons)
    if "python_function" not in flavors and not {"onnx", "transformers"} & set(flavors):
        fault = f"flavors = {sorted(flavors)}, must hold python_function; log it with mlflow.<flavor>.log_model"
        raise InputError("model", [fault])
    if asked.kind is None:
        return _choice(_decide(mlmodel, flavors, asked, reasons), mlmodel, asked, reasons)
    possible = sorted(_possible(mlmodel, flavors))
    if asked.kind not in possible:
        can = ", ".join(possible)
        fault = f"runtime = {asked.kind}, cannot serve flavors {sorted(flavors)}; choose one of {can}"
        raise InputError("model", [fault])
    reasons.append(f"runtime = {asked.kind}, as asked")
    return _choice(asked.kind, mlmodel, asked, reasons)


def task_of(mlmodel: Mapping[str, Any]) -> str:
    """The model's task: MLflow's inference task when it was logged with one, the pipeline's otherwise, or empty."""
    metadata = mlmodel.get("metadata") or {}
    transformers = (mlmodel.get("flavors") or {}).get("transformers") or {}
    return str(metadata.get("task") or transformers.get("inference_task") or transformers.get("task") or "")


def size_of(mlmodel: Mapping[str, Any]) -> int:
    """Bytes of the model's files as MLflow counted them; 0 when it did not."""
    size = mlmodel.get("model_size_bytes")
    return size if isinstance(size, int) else 0


def _possible(mlmodel: Mapping[str, Any], flavors: Mapping[str, Any]) -> set[Runtime]:
    possible = {Runtime.CUSTOM}
    if "python_function" in flavors:
        possible |= {Runtime.MLFLOW, Runtime.TRITON}  # Triton's Python backend runs any pyfunc, on request
    if "onnx" in flavors:
        possible.add(Runtime.TRITON)
    if "transformers" in flavors and task_of(mlmodel) in TEXT_GENERATION_TASKS | EMBEDDING_TASKS:
        possible.add(Runtime.VLLM)
    return possible


def _decide(
    mlmodel: Mapping[str, Any], flavors: Mapping[str, Any], asked: RuntimeRequest, reasons: list[str]
) -> Runtime:
    task, size = task_of(mlmodel), size_of(mlmodel)
    gpu_wanted = asked.gpus is not None and asked.gpus > 0
    gpu_forbidden = asked.gpus == 0
    if "transformers" in flavors and task in TEXT_GENERATION_TASKS:
        if gpu_forbidden:
            reasons.append(f"task {task} would run on vLLM, but gpus = 0")
        elif gpu_wanted or size > GPU_BYTES:
            why = f"gpus = {asked.gpus}" if gpu_wanted else f"its {size / GIB:.1f} GiB need a GPU"
            reasons.append(f"task {task} and {why}: vLLM batches tokens of many callers")
            return Runtime.VLLM
        else:
            reasons.append(f"task {task}, but its {size / GIB:.2f} GiB run on a CPU")
    if "onnx" in flavors and (gpu_wanted or "python_function" not in flavors):
        how = "on a GPU" if gpu_wanted else "without python_function"
        reasons.append(f"an ONNX graph {how}: Triton runs it")
        return Runtime.TRITON
    agent, named = agent_of(mlmodel), sorted(set(flavors) - {"python_function"})
    if agent and not named:
        reasons.append(f"a {agent}: it waits for other services, hundreds of requests run at once")
    elif set(named) & WAITING_FLAVORS:
        reasons.append(f"flavor {named[0]} waits for other services, hundreds of requests run at once")
    elif named:
        reasons.append(f"flavor {', '.join(named)} runs in the model's own Python environment")
    else:
        reasons.append("the model's own Python code runs in its own environment")
    return Runtime.MLFLOW


def agent_of(mlmodel: Mapping[str, Any]) -> str:
    """Which of MLflow's agent classes the model is; empty for others."""
    loader = str(((mlmodel.get("flavors") or {}).get("python_function") or {}).get("loader_module", ""))
    return AGENTS.get(task_of(mlmodel)) or AGENTS.get(loader, "")


def _choice(runtime: Runtime, mlmodel: Mapping[str, Any], asked: RuntimeRequest, reasons: list[str]) -> RuntimeChoice:
    flavors = mlmodel.get("flavors") or {}
    size = size_of(mlmodel)
    gpus = asked.gpus if asked.gpus is not None else 0
    engine: EnginePlan | None = None
    requirements: tuple[str, ...] | None = None
    more: tuple[str, ...] = ()
    image = asked.image
    if runtime is Runtime.VLLM:
        gpus, arguments, why = vllm.sizing(mlmodel, size, asked)
        reasons += why
        engine = vllm.plan(mlmodel, asked, arguments)
        requirements = () if image else vllm.REQUIREMENTS
    elif runtime is Runtime.TRITON:
        graph = "onnx" in flavors
        image = image or (triton.IMAGE if graph else "")
        engine, reason = triton.plan(mlmodel, asked, vendor=bool(image), gpus=gpus)
        reasons.append(reason)
        requirements = () if graph else None
        more = () if image else triton.REQUIREMENTS
    elif runtime is Runtime.CUSTOM:
        engine = custom.plan(mlmodel, asked)
        requirements = () if image else None
    return RuntimeChoice(
        runtime=runtime,
        gpus=gpus,
        reasons=tuple(reasons),
        engine=engine,
        requirements=requirements,
        more_requirements=more,
        base=_base(image, asked.image_python) if image else None,
    )


def _base(image: str, python: str) -> dict[str, str]:
    path = f"/usr/bin/python{python}"  # where Ubuntu has it, which engines' images are made from
    return {"kind": "registry", "reference": image, "python": python, "python_path": path}
