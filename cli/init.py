"""`headrace init [DIR]`: writes a Pulumi project: a program with one endpoint, and the settings of a stack."""

import importlib.metadata
import shlex
from pathlib import Path
from typing import Annotated, Final

import typer

from headrace.cli import options
from headrace.cli.new_project import STACK, NewProject, Place

HELP: Final = (
    "Writes a Pulumi project: a program with a platform and one endpoint, the settings of a stack, requirements.txt. "
    "Exit status: 0 it is written, 2 it cannot be."
)


@options.told
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Made where it is not; else this folder.")] = Path(),
    name: Annotated[str, typer.Option(help="Name of the project; else the folder's.")] = "",
    cluster: Annotated[
        str,
        typer.Option(
            metavar="here|eks|FILE",
            help="The cluster that kubectl uses now; one of Amazon EKS, which the program makes; or a kubeconfig's.",
        ),
    ] = Place.HERE.value,
    as_json: options.AsJson = False,
) -> int:
    """The command."""
    place = Place(cluster) if cluster in (Place.HERE, Place.EKS) else Place.KUBECONFIG
    project = NewProject(
        folder=folder,
        name=name if name else folder.resolve().name,
        place=place,
        kubeconfig=str(Path(cluster).expanduser().absolute()) if place is Place.KUBECONFIG else "",
        version=importlib.metadata.version("headrace"),
    )
    project.write()
    there = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    commands = [f"{there}pip install -r requirements.txt", f"headrace up --stack {STACK}"]
    if as_json:
        written = [str(folder / file) for file in project.files()]
        options.print_json({"name": project.name, "written": written, "next": commands})
    else:
        print(f"Wrote {', '.join(project.files())}. Edit Pulumi.{STACK}.yaml, then:\n")
        print("\n".join(f"  {command}" for command in commands))
    return options.WELL
