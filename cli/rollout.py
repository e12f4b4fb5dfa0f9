"""`headrace rollout ENDPOINT [pause|resume|abort|retry]`: how far a rollout has come, and what a person asks of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from headrace.cli import options
from headrace.contract import names
from headrace.contract.codec import read
from headrace.contract.declaration import Style
from headrace.contract.errors import PermanentError
from headrace.contract.rollout import COMMAND_ANNOTATION, Command, Phase, RolloutStatus

HELP: Final = (
    "Shows how far the rollout of an endpoint's version has come, by what it is judged and why it is where it is; or "
    "asks the rollout controller to pause it, to resume it, to abort it, which gives all traffic back to the version "
    "before, or to retry it after it was taken back. "
    "Exit status: 0 it goes on, has ended well or does as asked; 1 it was taken back; 2 it could not be found out."
)


class Verb(StrEnum):
    """What is done."""

    SHOW = "show"
    PAUSE = Command.PAUSE.value
    RESUME = Command.RESUME.value
    ABORT = Command.ABORT.value
    RETRY = Command.RETRY.value


_FITS: Final[Mapping[Verb, tuple[Phase, ...]]] = {
    Verb.PAUSE: (Phase.WAITING, Phase.PROGRESSING, Phase.PAUSED),
    Verb.RESUME: (Phase.WAITING, Phase.PROGRESSING, Phase.PAUSED),
    Verb.ABORT: (Phase.WAITING, Phase.PROGRESSING, Phase.PAUSED),
    Verb.RETRY: (Phase.ROLLED_BACK,),
}
"""Phases in which each may be asked for."""


@options.told
def rollout(
    endpoint: options.Endpoint,
    verb: Annotated[Verb, typer.Argument(metavar="[show|pause|resume|abort|retry]", help="What to do.")] = Verb.SHOW,
    as_json: options.AsJson = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """The command."""
    cluster = options.connected(kubeconfig, context)
    item = cluster.endpoint(endpoint)
    found = _told(item, endpoint)
    if verb is not Verb.SHOW:
        if found.phase not in _FITS[verb]:
            fitting = " or ".join(_FITS[verb])
            raise PermanentError(
                f"{verb}: the rollout of {found.version} is {found.phase}, must be {fitting}; "
                "name another model_uri and run pulumi up for a new one"
            )
        group = f"/apis/{names.API_GROUP}/{names.API_VERSION}/namespaces/{item['metadata']['namespace']}"
        path = f"{group}/{names.MODEL_ENDPOINT_PLURAL}/{endpoint}"
        cluster.api.merge(path, {"metadata": {"annotations": {COMMAND_ANNOTATION: f"{verb} {found.version}"}}})
        if as_json:
            options.print_json({"endpoint": endpoint, "version": found.version, "asked": verb.value})
        else:
            options.console().print(f"{endpoint}: asked to {verb} the rollout of {found.version}")
        return options.WELL
    if as_json:
        options.print_json(evidence(item, endpoint))
    else:
        _show(endpoint, found)
    return options.NOT_WELL if found.phase is Phase.ROLLED_BACK else options.WELL


def evidence(item: Mapping[str, Any], endpoint: str) -> dict[str, Any]:
    """How far the rollout of the object has come and by what it is judged, as JSON has it; raises PermanentError where
    there is none."""
    _told(item, endpoint)
    return {key: value for key, value in item["status"]["rollout"].items() if key != "memory"}


def _told(item: Mapping[str, Any], endpoint: str) -> RolloutStatus:
    told = item.get("status", {}).get("rollout")
    found = read(RolloutStatus, told, Style.KUBERNETES)[0] if told else None
    if found is None:
        raise PermanentError(
            f"endpoint = {endpoint!r} has no rollout: give its ModelEndpoint the input rollout, {{}} will do, and run "
            "pulumi up"
        )
    return found


def _show(endpoint: str, found: RolloutStatus) -> None:
    console = options.console()
    after = f" after {found.former}" if found.former else ""
    since = f" since {found.step_started_at}" if found.step_started_at else ""
    console.print(f"{endpoint}: {found.version}{after} is {found.phase} with {found.weight} % of the requests{since}")
    console.print(f"{found.reason}: {found.message}")
    if found.gates:
        table = Table("GATE", "VERDICT", found.version, f"{found.former} BESIDE", "P", box=None, header_style="bold")
        for gate in found.gates:
            new = f"{gate.percent:g} % of {gate.requests}"
            former = f"{gate.former_percent:g} % of {gate.former_requests}"
            table.add_row(gate.name, gate.verdict, new, former, f"{gate.p_value:.2g}")
        console.print(table)
    for event in found.events:
        console.print(f"{event.time} {event.phase:11} {event.weight:3} %  {event.reason}: {event.message}")
