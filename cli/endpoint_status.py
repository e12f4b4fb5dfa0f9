"""`headrace status [ENDPOINT]`: endpoints with their versions, pods and reasons."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headrace.cli import options
from headrace.contract.endpoint_state import EndpointState, VersionState

if TYPE_CHECKING:
    from headrace.cli.cluster_reader import ClusterReader

HELP: Final = f"Shows endpoints with their versions, pods and reasons. {options.STATUSES}"
_LOOK_SECONDS: Final = 2.0


@options.told
def status(
    endpoint: options.AnyEndpoint = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show changes until Ctrl-C.")] = False,
    as_json: options.AsJson = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """The command."""
    cluster, console = options.connected(kubeconfig, context), options.console()
    found = look(cluster, endpoint)
    if watch:
        _watch(cluster, endpoint, console, found, as_json=as_json)
    elif as_json:
        options.print_json([state.document() for state in found])
    else:
        console.print(_shown(found, detailed=endpoint is not None))
    return options.WELL if all(state.well for state in found) else options.NOT_WELL


def look(cluster: "ClusterReader", endpoint: str | None) -> list[EndpointState]:
    """The endpoint, or all; raises PermanentError where there is no such endpoint."""
    if endpoint is None:
        items, autoscalers = cluster.endpoints(), cluster.autoscalers()
    else:
        items = [cluster.endpoint(endpoint)]
        autoscalers = cluster.autoscalers(items[0]["metadata"]["namespace"])
    return [EndpointState.of(item, autoscalers) for item in items]


def _watch(
    cluster: "ClusterReader", endpoint: str | None, console: Console, found: list[EndpointState], *, as_json: bool
) -> None:
    """On a terminal one table that changes; else, and as JSON, what changed: one document a line for each change."""
    if console.is_terminal and not as_json:
        with Live(_shown(found, detailed=endpoint is not None), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(_LOOK_SECONDS)
                live.update(_shown(look(cluster, endpoint), detailed=endpoint is not None), refresh=True)
    before: dict[str, EndpointState] = {}
    while True:
        for state in found:
            if before.get(state.name) != state:
                if as_json:
                    options.print_json_line(state.document())
                else:
                    console.print(_shown([state], detailed=endpoint is not None))
        before = {state.name: state for state in found}
        time.sleep(_LOOK_SECONDS)
        found = look(cluster, endpoint)


def _shown(states: Sequence[EndpointState], *, detailed: bool) -> RenderableType:
    if not states:
        return Text("The cluster has no endpoint.")
    parts: list[RenderableType] = [_table(states)]
    for state in states:
        if detailed or not state.well:
            parts += _sentences(state)
    return Group(*parts)


def _table(states: Sequence[EndpointState]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    has_prices = any(version.cost is not None for state in states for version in state.versions)
    priced = ("COST/H",) if has_prices else ()
    for column in ("ENDPOINT", "STATE", "VERSION", "MODEL", "TRAFFIC", "PODS", "CONCURRENCY", "DEMAND", *priced, "WHY"):
        table.add_column(column, overflow="fold", no_wrap=column not in ("MODEL", "STATE", "WHY"))
    for state in states:
        style = "green" if state.well else "yellow" if state.ready else "red"
        for position, version in enumerate(state.versions):
            named = (state.name, Text(state.word, style=style)) if position == 0 else ("", "")
            table.add_row(*named, *_cells(version, has_prices=has_prices))
    return table


def _cells(version: VersionState, *, has_prices: bool) -> list[str]:
    traffic = f"{version.weight} %" + (f", shadow {version.shadow} %" if version.shadow else "")
    pods = "-" if version.wanted_pods is None else f"{version.ready_pods or 0}/{version.wanted_pods}"
    concurrency = "-" if version.concurrency is None else str(version.concurrency)
    cost = "-" if version.cost is None else version.cost.in_words(version.cost.now)
    priced = [cost] if has_prices else []
    demand, why = version.demand or "-", version.why or "-"
    return [version.name, version.model_uri, traffic, pods, concurrency, demand, *priced, why]


def _sentences(state: EndpointState) -> list[Text]:
    lines = []
    if not state.conditions:
        lines.append(Text(f"{state.name}: no control plane has looked at the object; does the platform run?"))
    for condition in state.conditions:
        style = "green" if condition.holds else "red"
        line = Text(f"{state.name}: ")
        line.append(f"{condition.type} {condition.reason}", style=style)
        line.append(f" since {condition.since}: {condition.message}")
        lines.append(line)
    return lines
