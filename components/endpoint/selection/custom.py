"""The deployer's own command, or the server in an image of his, behind the same front. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from headrace.components.endpoint.selection.choice import RuntimeRequest
from headrace.contract.errors import InputError
from headrace.contract.runtime import EnginePlan, Protocol

HEALTH: Final = {
    Protocol.INVOCATIONS: "/ping",
    Protocol.OPEN_INFERENCE: "/v2/health/ready",
    Protocol.OPENAI: "/v1/models",  # not every server has a /health
}
"""What answers 200 when a server of that protocol can serve."""


def plan(mlmodel: Mapping[str, Any], asked: RuntimeRequest) -> EnginePlan:
    """The server; InputError names what it lacks."""
    faults = []
    if not asked.command:
        faults.append(
            "command is missing; runtime = custom needs the server's command line, in which {port} stands for the port "
            "of the loopback that it must listen on, {model} for the model's directory, {python} for its interpreter"
        )
    elif not any("{port}" in word for word in asked.command):
        faults.append(f"command = {list(asked.command)}, must hold {{port}}, the port that the server must listen on")
    if asked.protocol is None:
        listed = ", ".join(protocol.value for protocol in Protocol)
        faults.append(f"protocol is missing; runtime = custom needs what the server speaks, one of {listed}")
    if asked.health and not asked.health.startswith("/"):
        faults.append(f"health = {asked.health!r}, must be a path that starts with /")
    if faults or asked.protocol is None:
        raise InputError("model", faults)
    return EnginePlan(
        name="custom",
        command=(*asked.command, *asked.arguments),
        protocol=asked.protocol,
        health=asked.health or HEALTH[asked.protocol],
        metrics="{port}/metrics",
        signature=mlmodel.get("signature"),
    )
