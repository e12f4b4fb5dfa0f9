"""`headrace mcp`: an MCP server over standard input and output, through which an agent looks at a platform."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no SDK, which is an extra.

from typing import Annotated, Final

import typer

from headrace.cli import options, table
from headrace.contract.errors import PermanentError

HELP: Final = (
    "Serves an agent (Claude, or any client of the Model Context Protocol) over standard input and output with tools "
    "that only read: endpoints, why they scaled, errors, slow requests, rollouts, SQL over inference tables. "
    "Exit status: 0 the agent has left, 2 it could not begin."
)


@options.told
def mcp(  # noqa: PLR0917 -- arguments of a command line
    uri: Annotated[
        str, typer.Option(help="Folder of the table, or of all tables; else as each endpoint's object has it.")
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option(help="A storage option, NAME=VALUE, for example AWS_REGION=eu-west-1.")
    ] = None,
    requester: Annotated[str, typer.Option(metavar="SUBJECT", help="Tell only rows of this caller; else all.")] = "",
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Longest time of one query of a table.")] = 20,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """The command."""
    try:
        from headrace.cli.agent.server import server
        from headrace.cli.agent.tools import AgentTools
    except ImportError as error:
        raise PermanentError("headrace mcp needs the MCP SDK; run `pip install 'headrace[mcp]'`") from error
    tools = AgentTools(
        cluster=options.connected(kubeconfig, context),
        uri=uri,
        storage_options=table.storage_options(option or []),
        requester=requester,
        seconds=seconds,
    )
    server(tools).run("stdio")
    return options.WELL
