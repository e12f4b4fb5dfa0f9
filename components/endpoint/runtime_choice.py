"""Which runtime serves a model, as an input and its rules; headrace.components.endpoint.selection decides."""

from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, TypedDict

from headrace.components.endpoint.selection.choice import Runtime, RuntimeChoice, RuntimeRequest
from headrace.components.endpoint.selection.select import select
from headrace.contract.codec import decode, read


class EndpointRuntime(TypedDict):
    """What serves the model, where the choice that follows from the model is not wanted; all optional."""

    kind: NotRequired[str]
    """mlflow, vllm, triton or custom. Absent: chosen from the model's flavors, task and size."""
    gpus: NotRequired[int]
    """GPUs of a pod; 0 forbids them. Absent: chosen from the model's size; none but for vLLM."""
    gpu_memory_gib: NotRequired[float]
    """Memory of one GPU of the kind that the cluster has. Default 80."""
    gpu_has_fp8: NotRequired[bool]
    """Whether that kind multiplies 8-bit floats (compute capability 8.9 and newer). Default true."""
    arguments: NotRequired[list[str]]
    """Given to the engine after those that follow from the model; the last one wins."""
    image: NotRequired[str]
    """Image that holds the engine (vllm, triton) or the server (custom), put under our layers; best pinned by digest.
    Absent: vLLM, and Triton for Python models, are installed from packages; Triton for ONNX comes from NVIDIA's."""
    image_python: NotRequired[str]
    """Minor version of the Python in `image`. Default 3.12."""
    command: NotRequired[list[str]]
    """custom: the server's command line. {port} stands for the port of the loopback that it must listen on, {model} for
    the model's directory, {python} for the interpreter of the model's environment."""
    protocol: NotRequired[str]
    """custom: what the server speaks: invocations, open-inference or openai."""
    health: NotRequired[str]
    """custom: path that answers 200 when it can serve. Absent: /ping, /v2/health/ready or /v1/models, by protocol."""


def runtime_faults(given: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an EndpointRuntime."""
    for broken in read(RuntimeRequest, given)[1]:
        yield f"runtime.{broken}"
    for key in ("command", "protocol", "health"):
        if key in given and given.get("kind") != Runtime.CUSTOM:
            yield f"runtime.{key} = {given[key]!r} is for kind = 'custom' only; what other engines need is known"


def choose(mlmodel: Mapping[str, Any], given: Mapping[str, Any]) -> RuntimeChoice:
    """The runtime of the model with that MLmodel file, as ModelSource has it; `given` is an EndpointRuntime without
    faults.

    Raises InputError with every reason why the model cannot be served so.
    """
    return select(mlmodel, decode(RuntimeRequest, given))
