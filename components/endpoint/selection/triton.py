"""Triton's command line and model repository, from the model, with reasons. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from headrace.components.endpoint.selection import triton_repository
from headrace.components.endpoint.selection.choice import RuntimeRequest
from headrace.contract.runtime import EnginePlan, Protocol

REQUIREMENTS: Final = ("nvidia-pytriton==0.7.0",)
"""Carries tritonserver 2.51 with the Python backend (and no other), in an image that is not built on NVIDIA's."""
_PACKAGED: Final = "{site}/pytriton/tritonserver"
IMAGE: Final = "nvcr.io/nvidia/tritonserver:25.06-py3"
"""Has the ONNX Runtime and TensorRT backends; an ONNX model is put into it unless another image is named."""
_VENDOR: Final = "/opt/tritonserver"
_MODEL: Final = "repository/{endpoint}"
STUB_SECONDS: Final = 3600
"""What Triton gives its Python process to start and to load the model; by default it is 30 s.

How long a start may take is said in one place, the pod's startup probe, which gives less than this hour to any model
of up to 100 GiB.
"""


def plan(mlmodel: Mapping[str, Any], asked: RuntimeRequest, *, vendor: bool, gpus: int) -> tuple[EnginePlan, str]:
    """The server for one model, in an image of the `vendor` or from the package, and why it is set up so."""
    flavors: Mapping[str, Any] = mlmodel.get("flavors") or {}
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    options: tuple[str, ...] = ()
    if "onnx" in flavors and vendor:
        files[f"{_MODEL}/config.pbtxt"] = triton_repository.onnx_config(mlmodel, gpus=gpus)
        links[f"{_MODEL}/1"] = "{model}"  # the whole directory: weights may lie in files beside the graph
        reason = "the graph runs in ONNX Runtime, without Python"
    else:
        files[f"{_MODEL}/config.pbtxt"] = triton_repository.pyfunc_config(mlmodel)
        links[f"{_MODEL}/1/model.py"] = "{code}/engines/pyfunc_model.py"
        options = (f"--backend-config=python,stub-timeout-seconds={STUB_SECONDS}",)
        reason = "the Python backend runs the python_function, in one process for each core"
    server = _VENDOR
    environment = {"HEADRACE_SITE": "{site}"}
    backends: tuple[str, ...] = ()
    if not vendor:
        # The package keeps the backend's process for each Python apart from the backend; Triton wants them together.
        server = _PACKAGED
        python = ".".join(str(flavors["python_function"].get("python_version", "3.11")).split(".")[:2])
        for name in ("libtriton_python.so", "triton_python_backend_utils.py"):
            links[f"backends/python/{name}"] = f"{_PACKAGED}/backends/python/{name}"
        stub = "triton_python_backend_stub"
        links[f"backends/python/{stub}"] = f"{_PACKAGED}/python_backend_stubs/{python}/{stub}"
        backends = ("--backend-directory={home}/backends",)
        environment["LD_LIBRARY_PATH"] = "{site}/nvidia_pytriton.libs"
    command = (
        f"{server}/bin/tritonserver",
        "--model-repository={home}/repository",
        *backends,
        *options,
        "--http-address=127.0.0.1",
        "--http-port={port}",
        "--allow-grpc=false",
        "--allow-metrics=true",
        "--metrics-address=127.0.0.1",
        "--metrics-port={other_port}",
        "--exit-timeout-secs={grace}",
        "--model-control-mode=none",
        *asked.arguments,
    )
    made = EnginePlan(
        name="triton",
        command=command,
        environment=environment,
        protocol=Protocol.OPEN_INFERENCE,
        health="/v2/health/ready",
        metrics="{other_port}/metrics",
        files=files,
        links=links,
        signature=mlmodel.get("signature"),
    )
    return made, reason
