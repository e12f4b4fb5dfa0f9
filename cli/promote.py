"""`headrace promote --from staging --to prod`: takes versions from one stack to the next, on signed evidence."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no engine.

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from headrace.cli import options
from headrace.contract.errors import HeadraceError, InputError, TemporaryError

if TYPE_CHECKING:
    from headrace.stacks.promotion.plan import Step
    from headrace.stacks.promotion.project import Project

HELP: Final = (
    "Takes versions from one stack to the next: checks the evidence that the first has signed, shows what changes, "
    "asks, writes the target's settings and runs `pulumi up`. Where that fails, the target goes back. Exit status: "
    "0 promoted, or nothing to promote; 1 something speaks against it, or it went back; 2 it could not be tried."
)
Folder = Annotated[Path, typer.Option("--cwd", metavar="DIR", help="Folder of the Pulumi project.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Policy = Annotated[
    list[str] | None,
    typer.Option(metavar="PATH", help="A policy pack's folder, or its configuration file; may be given several times."),
]


@options.told
def promote(  # noqa: PLR0917 -- arguments of a command line
    source: Annotated[str, typer.Option("--from", metavar="STACK", help="Stack where the versions serve.")],
    target: Annotated[str, typer.Option("--to", metavar="STACK", help="Stack that they go to.")],
    endpoints: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ENDPOINT[=NAME]]...", help="Endpoints, with another NAME there; else all of both."),
    ] = None,
    yes: Yes = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only show what would change.")] = False,
    as_json: options.AsJson = False,
    policy: Policy = None,
    folder: Folder = Path(),
) -> int:
    """The command."""
    from headrace.stacks.promotion.gates import Gates
    from headrace.stacks.promotion.plan import plan
    from headrace.stacks.promotion.project import Project

    project = Project(folder)
    evidence = project.outputs(source).get("evidence") or {}
    if not evidence:
        raise InputError(
            "headrace promote",
            [f"stack {source} has no output `evidence`, must have signed some; set evidence_key there, `pulumi up`"],
        )
    gates = Gates.of_setting(project.setting(target, "promotion"))
    entries = project.setting(target, "endpoints") or []
    steps = plan(evidence, entries, gates, _wanted(endpoints or ()), datetime.datetime.now(datetime.UTC))
    if as_json:
        options.print_json([step.document() for step in steps])
    else:
        _show(steps, options.console())
    changing = [step for step in steps if step.changes]
    if any(step.faults for step in steps):
        return options.NOT_WELL
    if not changing or preview:
        return options.WELL
    if not yes and not typer.confirm(f"Promote to {target}?", err=True):
        return options.NOT_WELL
    written = {
        f"endpoints[{step.position}].{key}": value for step in changing for key, value in step.settings().items()
    }
    before = {
        f"endpoints[{step.position}].{key}": entries[step.position].get(key)
        for step in changing
        for key in step.settings()
    }
    return changed(project, target, written, before, policy=policy or ())


def changed(
    project: "Project", stack: str, written: dict[str, str], before: dict[str, str | None], *, policy: Sequence[str]
) -> int:
    """Writes the settings and updates the stack; where that fails, writes what was before and updates it again."""
    project.write(stack, written)
    try:
        project.up(stack, tell=tell, policy=policy)
    except TemporaryError as error:
        print(f"{error}\nGoing back to what served before.", file=sys.stderr)
        project.write(stack, before)
        try:
            project.up(stack, tell=tell, policy=policy)
        except HeadraceError as second:
            print(f"{second}\nThe settings are those of before; run `pulumi up` of stack {stack}.", file=sys.stderr)
        return options.NOT_WELL
    return options.WELL


def tell(line: str) -> None:
    """Progress of the engine, apart from what scripts read."""
    print(line, file=sys.stderr, flush=True)


def _wanted(endpoints: Sequence[str]) -> dict[str, str]:
    pairs = (text.partition("=") for text in endpoints)
    return {here: there if there else here for here, _, there in pairs}


def _show(steps: "Sequence[Step]", console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("ENDPOINT", "", "NOW", "THEN"):
        table.add_column(column, overflow="fold")
    for step in steps:
        changes = step.changes
        for name, (old, new) in changes.items():
            table.add_row(step.endpoint, name, old or "-", new)
        if not changes and not step.faults:
            table.add_row(step.endpoint, "", "", "as it is")
    console.print(table)
    for step in steps:
        for fault in step.faults:
            console.print(f"[bold red]{step.endpoint}[/bold red] ", end="")
            console.print(fault, markup=False)
