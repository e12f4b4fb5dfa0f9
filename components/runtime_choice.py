"""Which runtime serves a model, as an input, its rules, and the answer of the program that decides it.

The decision is `headrace.runtimes.selection`'s, which components may not import: it is asked as a program, as the
image builder is.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final, NotRequired, TypedDict

import yaml

from headrace.components import checks
from headrace.contract.errors import InputError, PermanentError
from headrace.contract.runtime import GIB, SELECTOR_MODULE, Protocol, Runtime, RuntimeChoice, RuntimeRequest

_MINOR: Final = "3."


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
    """Known keys and values."""
    faults = [*checks.known_keys(given, EndpointRuntime.__annotations__)]
    for key, words in (("kind", list(Runtime)), ("protocol", list(Protocol))):
        if key in given and given[key] not in words:
            faults.append(f"{key} = {given[key]!r}, must be one of {', '.join(words)}")
    for key in ("gpus", "gpu_memory_gib"):
        if key in given:
            faults += checks.at_least(key, given[key], 0 if key == "gpus" else 1)
    for key in ("arguments", "command"):
        faults += checks.texts(key, given.get(key, []))
    for key in ("command", "protocol", "health"):
        if key in given and given.get("kind") != Runtime.CUSTOM:
            faults.append(f"{key} = {given[key]!r} is for kind = 'custom' only; what other engines need is known")
    python = given.get("image_python", "3.12")
    if not (isinstance(python, str) and python.startswith(_MINOR) and python.removeprefix(_MINOR).isdigit()):
        faults.append(f"image_python = {python!r}, must be a minor version such as '3.12'")
    for fault in faults:
        yield f"runtime: {fault}"


def choose(mlmodel: str, given: Mapping[str, Any]) -> RuntimeChoice:
    """The runtime of the model with that MLmodel file; `given` is an EndpointRuntime without faults.

    Raises InputError with every reason why the model cannot be served so.
    """
    request = RuntimeRequest(
        runtime=Runtime(given["kind"]) if "kind" in given else None,
        gpus=int(given["gpus"]) if "gpus" in given else None,
        gpu_memory_bytes=round(given.get("gpu_memory_gib", 80) * GIB),
        gpu_has_fp8=bool(given.get("gpu_has_fp8", True)),
        command=tuple(given.get("command", ())),
        protocol=Protocol(given["protocol"]) if "protocol" in given else None,
        health=given.get("health", ""),
        arguments=tuple(given.get("arguments", ())),
        image=given.get("image", ""),
        image_python=given.get("image_python", "3.12"),
    )
    # MLmodel files hold dates now and then, which JSON has not
    asked = json.dumps({"mlmodel": yaml.safe_load(mlmodel) or {}, "request": asdict(request)}, default=str)
    answer = subprocess.run(
        [sys.executable, "-m", SELECTOR_MODULE], input=asked, capture_output=True, text=True, check=False
    )
    try:
        value = json.loads(answer.stdout)
    except ValueError:
        last = answer.stderr.strip().splitlines()[-1:]
        raise PermanentError(
            f"The choice of a runtime failed with status {answer.returncode}: {''.join(last)}"
        ) from None
    if "faults" in value:
        raise InputError("runtime", value["faults"])
    return RuntimeChoice.from_json(value)
