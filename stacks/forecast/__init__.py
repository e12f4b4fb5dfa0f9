"""Forecast: what a preview says of endpoints before anybody says yes: pods, GPUs, cost, room, and which pods restart.

    forecast.tell(endpoints, kubeconfig=cluster.kubeconfig, setting=stack.prices)

It asks the cluster once, in previews alone, so that an update itself takes no longer.
"""

import datetime
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pulumi

from headrace.components.endpoint.model_endpoint import ModelEndpoint

if TYPE_CHECKING:
    from headrace.components.endpoint.endpoint_plan import EndpointPlan
    from headrace.components.platform.prices import Prices
    from headrace.stacks.forecast.estimate import Estimate

FILE_VARIABLE: Final = "HEADRACE_FORECAST"
"""Environment variable with the path of a file that a preview writes: Markdown where it ends in .md, else JSON."""


def tell(endpoints: Mapping[str, ModelEndpoint], *, kubeconfig: pulumi.Input[str], prices: "Prices") -> None:
    """Prints the forecast of the endpoints in a preview; nothing in an update, and nothing without endpoints."""
    if not pulumi.runtime.is_dry_run() or not endpoints:
        return
    from headrace.stacks.forecast.restarts import LATER  # noqa: PLC0415 -- an update waits for no client of Kubernetes

    def leaf(value: Any) -> Any:
        if isinstance(value, pulumi.Output):
            return value.apply(lambda known: LATER if pulumi.contains_unknowns(known) else known, True)
        if isinstance(value, Mapping):
            return {key: leaf(item) for key, item in value.items()}
        return [leaf(item) for item in value] if isinstance(value, list | tuple) else value

    pods = {told_as: leaf(plan.pod) for told_as, (_, plan) in _planned(endpoints).items()}

    def told(known: list[Any]) -> None:
        address, templates = known
        _tell(endpoints, templates, "" if address is LATER else address, prices)

    # held by the engine's list of outputs, which the program waits for
    pulumi.Output.all(leaf(pulumi.Output.from_input(kubeconfig)), pods).apply(told)


def _tell(
    endpoints: Mapping[str, ModelEndpoint], templates: Mapping[str, Any], kubeconfig: str, prices: "Prices"
) -> None:
    from headrace.contract.errors import HeadraceError  # noqa: PLC0415 -- as above
    from headrace.stacks.forecast import cluster_state, table  # noqa: PLC0415
    from headrace.stacks.forecast.estimate import estimate  # noqa: PLC0415

    seen, note = None, "; the cluster is not there yet"
    if kubeconfig:
        try:
            seen, note = cluster_state.seen(kubeconfig), ""
        except HeadraceError as error:
            note = f"; {error}"
    now = datetime.datetime.now(datetime.UTC)
    planned = _planned(endpoints)
    found: dict[str, Estimate] = {
        told_as: estimate(
            name, plan, templates[told_as], prices=prices, seen=seen, now=now,
            beside={other.version for other in endpoints[name].plans} - {plan.version},
        )
        for told_as, (name, plan) in planned.items()
    }  # fmt: skip
    pulumi.log.info(table.text(found, prices, note))
    for told_as, each in found.items():
        if each.warning:
            pulumi.log.warn(each.warning, endpoints[planned[told_as][0]])
    if path := os.environ.get(FILE_VARIABLE):
        written = (
            table.markdown(found, prices, note)
            if path.endswith(".md")
            else json.dumps(table.document(found, prices), indent=1) + "\n"
        )
        Path(path).write_text(written)


def _planned(endpoints: Mapping[str, ModelEndpoint]) -> "dict[str, tuple[str, EndpointPlan]]":
    """Names of endpoints and plans of their versions, by what the forecast calls them: `fraud`, or `fraud/v7` beside
    other versions."""
    return {
        name if len(endpoint.plans) == 1 else f"{name}/{plan.version}": (name, plan)
        for name, endpoint in endpoints.items()
        for plan in endpoint.plans
    }
