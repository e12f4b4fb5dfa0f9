"""Words about how a model is served, between the component that asks, the program that decides and the front that runs.

The component (in the deployer's Pulumi process) starts `python -m headrace.runtimes.selector`, writes
`{"mlmodel": {...}, "request": RuntimeRequest}` as JSON to its standard input and reads a RuntimeChoice, or
`{"faults": [...]}` with exit status 1, from its standard output. Where another program than ours serves the model, the
choice holds an EnginePlan, which the pod's front gets as JSON in the variable ENV_ENGINE.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

SELECTOR_MODULE: Final = "headrace.runtimes.selector"
"""Run with `python -m`; components may not import it."""
ENGINE_MODULE: Final = "headrace.runtimes.engine"
"""The front of an engine, PID 1 of its pods."""
ENV_ENGINE: Final = "HEADRACE_ENGINE"
"""The EnginePlan as JSON."""
GIB: Final = 1024**3


class Runtime(StrEnum):
    """What runs in the pod."""

    MLFLOW = "mlflow"
    VLLM = "vllm"
    TRITON = "triton"
    CUSTOM = "custom"


class Protocol(StrEnum):
    """What an engine speaks."""

    INVOCATIONS = "invocations"
    """MLflow's scoring protocol."""
    OPEN_INFERENCE = "open-inference"
    """Open Inference Protocol v2 over REST."""
    OPENAI = "openai"


@dataclass(frozen=True, kw_only=True)
class RuntimeRequest:
    """What the deployer asked for; all optional."""

    runtime: Runtime | None = None
    """Overrides the choice."""
    gpus: int | None = None
    """GPUs a pod gets; None leaves it to the model, 0 forbids them."""
    gpu_memory_bytes: int = 80 * GIB
    """Memory of one GPU of the kind that the cluster has."""
    gpu_has_fp8: bool = True
    """Whether that kind multiplies 8-bit floats (compute capability 8.9 and newer)."""
    cores: float | None = None
    memory_bytes: int | None = None
    command: tuple[str, ...] = ()
    """custom: the server's command line."""
    protocol: Protocol | None = None
    """custom: what the server speaks."""
    health: str = ""
    """custom: path that answers 200 when the server can serve; empty takes the protocol's own."""
    arguments: tuple[str, ...] = ()
    """Given to the engine after the arguments that follow from the model; the last one wins."""
    image: str = ""
    """Image that holds the engine, under every layer of ours; empty takes the runtime's own."""
    image_python: str = "3.12"
    """Minor version of the Python in it."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RuntimeRequest":
        """Reads what `asdict` wrote; absent fields take this class's defaults."""
        made = {**value}
        if value.get("runtime") is not None:
            made["runtime"] = Runtime(value["runtime"])
        if value.get("protocol") is not None:
            made["protocol"] = Protocol(value["protocol"])
        for key in ("command", "arguments"):
            made[key] = tuple(value.get(key, ()))
        return cls(**made)


@dataclass(frozen=True, kw_only=True)
class EnginePlan:
    """A program that serves the model, and how the front starts it, watches it and speaks to it.

    Texts of `command`, `environment` and `links` may hold {model} (the MLflow model directory), {environment} and
    {python} (the virtual environment and its interpreter), {home} (a directory that the engine may write to),
    {code} (the folder of headrace.runtimes), {endpoint}, {port} and {other_port} (free ports of the loopback), {cores},
    and {grace} (whole seconds that the pod may take to stop).
    """

    name: str
    """For people: vllm, triton or custom."""
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    protocol: Protocol
    health: str
    """Path that answers 200 when the engine can serve."""
    metrics: str = ""
    """Port placeholder and path of its Prometheus metrics, for example {port}/metrics; empty when it has none."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Text files that it needs, by path below {home}."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Links that it needs: path below {home} to what it leads to."""
    concurrency: int | None = None
    """Requests it should run at once at first; None leaves it to the front."""
    signature: Mapping[str, Any] | None = None
    """The model's signature, for /invocations in front of tensors."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "EnginePlan":
        """Reads what `to_json` wrote."""
        return cls(**{**value, "command": tuple(value["command"]), "protocol": Protocol(value["protocol"])})


@dataclass(frozen=True, kw_only=True)
class RuntimeChoice:
    """The runtime, what its pod needs, and why."""

    runtime: Runtime
    gpus: int
    cores: float
    memory_bytes: int
    protocols: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    engine: EnginePlan | None = None
    """None where our own workers serve the model."""
    requirements: tuple[str, ...] | None = None
    """What the image's environment holds instead of the model's own requirements; None: the model's own."""
    more_requirements: tuple[str, ...] = ()
    """What it holds besides."""
    base: Mapping[str, str] | None = None
    """What lies under every layer, as contract.image.Base reads it: an engine's image. None: what the platform says."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RuntimeChoice":
        """Reads what `to_json` wrote."""
        engine, requirements = value.get("engine"), value.get("requirements")
        return cls(
            **{
                **value,
                "runtime": Runtime(value["runtime"]),
                "protocols": tuple(value["protocols"]),
                "reasons": tuple(value["reasons"]),
                "engine": None if engine is None else EnginePlan.from_json(engine),
                "requirements": None if requirements is None else tuple(requirements),
                "more_requirements": tuple(value["more_requirements"]),
            }
        )


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders replaced; other braces stay, they are JSON in somebody's argument."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text
