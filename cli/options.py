"""Options that several commands take, and how every command that asks a cluster ends."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, ParamSpec

import typer
from rich.console import Console

from headrace.contract.errors import HeadraceError

if TYPE_CHECKING:
    from headrace.cli.cluster_reader import ClusterReader

P = ParamSpec("P")
WELL, NOT_WELL, NOT_KNOWN = 0, 1, 2
"""Exit statuses: all is as it should be; something is not; it could not be found out."""
STATUSES: Final = "Exit status: 0 all is well, 1 something is not, 2 it could not be found out."

_NO_WIDTH: Final = 100_000


def _offered(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of endpoints for a shell's completion; none where the cluster does not answer."""
    try:
        found = connected(ctx.params.get("kubeconfig"), ctx.params.get("context")).endpoints()
    except HeadraceError:
        return []
    return [name for each in found if (name := str(each["metadata"]["name"])).startswith(incomplete)]


Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.", autocompletion=_offered)]
AnyEndpoint = Annotated[str | None, typer.Argument(metavar="[ENDPOINT]", help="Absent: all.", autocompletion=_offered)]
Kubeconfig = Annotated[
    str | None, typer.Option(metavar="FILE", help="Kubeconfig of the cluster; else $KUBECONFIG, else ~/.kube/config.")
]
Context = Annotated[str | None, typer.Option(metavar="NAME", help="Context of the kubeconfig; else its current one.")]
Token = Annotated[str, typer.Option(envvar="HEADRACE_TOKEN", help="Bearer token of the caller.")]
ServiceAccount = Annotated[
    str, typer.Option("--as", metavar="NAMESPACE/NAME", help="Call as this ServiceAccount of the cluster.")
]
Url = Annotated[str, typer.Option(envvar="HEADRACE_URL", help="The platform's address; else the cluster's.")]
CaFile = Annotated[Path | None, typer.Option(envvar="HEADRACE_CA_FILE", help="Authority to trust; else the cluster's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def connected(kubeconfig: str | None, context: str | None) -> "ClusterReader":
    """The cluster that the options name."""
    from headrace.cli.cluster_reader import ClusterReader  # noqa: PLC0415 -- `headrace --help` waits for no client of Kubernetes

    return ClusterReader(kubeconfig, context)


def told(command: Callable[P, int]) -> Callable[P, None]:
    """A command that returns its exit status, as Typer runs it: a failure is a sentence on stderr and status 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = command(*args, **kwargs)
        except HeadraceError as error:
            print(error, file=sys.stderr)
            status = NOT_KNOWN
        except KeyboardInterrupt:
            status = WELL
        except BrokenPipeError:  # the reader, `head` for instance, has enough
            sys.stderr.close()
            status = WELL
        raise typer.Exit(status)

    return run


def console(*, stderr: bool = False) -> Console:
    """Where people read: lines are as long as they are for whoever reads a pipe, and no terminal breaks a sentence."""
    here = Console(highlight=False, soft_wrap=True, stderr=stderr)
    return here if here.is_terminal else Console(highlight=False, soft_wrap=True, stderr=stderr, width=_NO_WIDTH)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False), flush=True)


def print_json_line(document: Any) -> None:
    """One JSON document on one line of stdout, for programs that read as it comes."""
    print(json.dumps(document, ensure_ascii=False, separators=(",", ":")), flush=True)
