"""`headrace rollback ENDPOINT --stack prod`: a stack's endpoint goes back to the version before."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no engine.

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from headrace.cli import options, promote
from headrace.contract.errors import PermanentError

HELP: Final = (
    "Goes back to what an endpoint of a stack served before, as the history of the stack's updates has it: writes the "
    "settings and runs `pulumi up`. What was promoted is not built again. "
    "Exit status: 0 it went back, 1 the update failed, 2 it could not be tried."
)


@options.told
def rollback(  # noqa: PLR0917 -- arguments of a command line
    endpoint: options.Endpoint,
    stack: Annotated[str, typer.Option("--stack", "-s", metavar="STACK", help="Stack of the endpoint.")],
    yes: promote.Yes = False,
    as_json: options.AsJson = False,
    policy: promote.Policy = None,
    folder: promote.Folder = Path(),
) -> int:
    """The command."""
    from headrace.stacks.promotion.plan import PROMOTED
    from headrace.stacks.promotion.project import Project

    project = Project(folder)
    entries = project.setting(stack, "endpoints") or []
    position = next((at for at, entry in enumerate(entries) if entry.get("name") == endpoint), None)
    if position is None:
        known = ", ".join(str(entry.get("name")) for entry in entries)
        raise PermanentError(
            f"endpoint = {endpoint!r}, must be an endpoint of stack {stack}: {known if known else 'none'}"
        )
    now = {key: entries[position].get(key) for key in PROMOTED}
    former = _former(project.former_settings(stack, "endpoints"), endpoint, now)
    if former is None:
        raise PermanentError(
            f"endpoint {endpoint} of stack {stack} has served nothing else in the last updates; set model_uri by hand"
        )
    if as_json:
        options.print_json({"endpoint": endpoint, "stack": stack, "now": now, "then": former})
    if not yes and not typer.confirm(f"Go back from {now['model_uri']} to {former['model_uri']}?", err=True):
        return options.NOT_WELL
    written, before = ({f"endpoints[{position}].{key}": value for key, value in each.items()} for each in (former, now))
    return promote.changed(project, stack, written, before, policy=policy or ())


def _former(settings: Any, endpoint: str, now: dict[str, Any]) -> dict[str, Any] | None:
    """What the endpoint's entry last had that was something else."""
    for entries in settings:
        for entry in entries:
            found = {key: entry.get(key) for key in now}
            if entry.get("name") == endpoint and found != now:
                return found
    return None
