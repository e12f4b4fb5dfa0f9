"""How a pod serves a model that another program than ours runs: decided by the deployer, carried out in the pod."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from headrace.contract.codec import decode, encode

ENV_ENGINE: Final = "HEADRACE_ENGINE"
"""The EnginePlan as JSON."""


class Protocol(StrEnum):
    INVOCATIONS = "invocations"
    """MLflow's scoring protocol."""
    OPEN_INFERENCE = "open-inference"
    """Open Inference Protocol v2 over REST."""
    OPENAI = "openai"


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
        return dict(encode(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "EnginePlan":
        """Reads what `to_json` wrote; raises InputError with every fault."""
        return decode(cls, value)


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders replaced; other braces stay, they are JSON in somebody's argument."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text
