"""`headrace up`: `pulumi up` of the project in this folder, and then where its endpoints are."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no engine.

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from headrace.cli import options, promote
from headrace.contract.errors import TemporaryError

HELP: Final = (
    "Runs `pulumi up` of the project in this folder: previews, asks, updates, and tells the addresses of its "
    "endpoints. Exit status: 0 it is done, 1 it failed or was not wanted, 2 it could not be tried."
)


@options.told
def up(  # noqa: PLR0917 -- arguments of a command line
    stack: Annotated[
        str,
        typer.Option("--stack", "-s", metavar="STACK", help="Made where it has settings alone; else the selected one."),
    ] = "",
    yes: promote.Yes = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only show what would change.")] = False,
    as_json: options.AsJson = False,
    policy: promote.Policy = None,
    folder: promote.Folder = Path(),
) -> int:
    """The command."""
    from headrace.stacks.promotion.project import Project

    project = Project(folder)
    name = stack if stack else project.selected()
    project.make(name)
    try:
        changes = {} if yes and not preview else project.preview(name, tell=promote.tell, policy=policy or ())
        if not preview:
            if not yes and not typer.confirm(f"Update {name}?", err=True):
                return options.NOT_WELL
            changes = project.up(name, tell=promote.tell, policy=policy or ())
    except TemporaryError as error:
        print(error, file=sys.stderr)
        return options.NOT_WELL
    endpoints = project.endpoints(name)
    if as_json:
        options.print_json({"stack": name, "updated": not preview, "changes": changes, "endpoints": endpoints})
    else:
        for endpoint, url in endpoints.items():
            print(f"{endpoint}  {url}")
    return options.WELL
