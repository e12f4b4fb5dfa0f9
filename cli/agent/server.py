"""The MCP server: AgentTools under the names and descriptions that an agent reads."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from headrace.cli.agent import table_query, untrusted
from headrace.cli.agent.tools import HOURS_MOST, SLOW_MOST, AgentTools
from headrace.contract.errors import HeadraceError
from headrace.contract.inference_table import COLUMNS

_INSTRUCTIONS: Final = (
    "Reads what a Headrace platform serves: endpoints of MLflow models on Kubernetes. Nothing here changes anything. "
    + untrusted.NOTICE
)
_READS: Final = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)

Endpoint = Annotated[str, Field(description="Name of the endpoint, as `endpoints` tells it.")]
Hours = Annotated[float, Field(gt=0, le=HOURS_MOST, description="How far back.")]


def server(tools: AgentTools) -> MCPServer[Any]:
    """A server that waits to be run."""
    door: MCPServer[Any] = MCPServer("headrace", instructions=_INSTRUCTIONS, log_level="WARNING")

    @door.tool(annotations=_READS)
    def endpoints(
        endpoint: Annotated[str, Field(description="Name of one; empty: all.")] = "",
    ) -> dict[str, Any]:
        """Endpoints with their state, versions, traffic, pods, conditions and proofs."""
        return _told(lambda: tools.endpoints(endpoint))

    @door.tool(annotations=_READS)
    def why(endpoint: Endpoint) -> dict[str, Any]:
        """Why an endpoint is as it is and why it scaled: conditions, the autoscaler's last decisions in sentences with
        their numbers, and the cluster's events, oldest first."""
        return _told(lambda: tools.why(endpoint))

    @door.tool(annotations=_READS)
    def rollout(endpoint: Endpoint) -> dict[str, Any]:
        """How far the rollout of a new version has come, and the evidence by which it is judged."""
        return _told(lambda: tools.rollout(endpoint))

    @door.tool(annotations=_READS)
    def errors(endpoint: Endpoint, hours: Hours = 24) -> dict[str, Any]:
        """Recorded requests that were not answered well (status 400 and above; 499: the caller left), counted by
        status, version and path, with the last one's request id, trace id and beginning of the answer."""
        return _told(lambda: tools.errors(endpoint, hours))

    @door.tool(annotations=_READS)
    def slow_requests(
        endpoint: Endpoint,
        hours: Hours = 24,
        last: Annotated[int, Field(ge=1, le=SLOW_MOST, description="Number of requests.")] = 10,
    ) -> dict[str, Any]:
        """The recorded requests that took longest, in milliseconds, with request ids and trace ids."""
        return _told(lambda: tools.slow_requests(endpoint, hours, last))

    @door.tool(
        annotations=_READS,
        description="One SELECT, in DuckDB's SQL, over an endpoint's inference table, which is named `rows`, a row a "
        f"request: {', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())}. At most {table_query.ROWS_MOST} "
        f"rows, {untrusted.TEXT_MOST} characters of a text and {tools.seconds:g} s. Narrow by request_date.",
    )
    def query_table(
        endpoint: Endpoint, sql: Annotated[str, Field(max_length=20_000, description="One SELECT.")]
    ) -> dict[str, Any]:
        return _told(lambda: tools.query_table(endpoint, sql))

    return door


def _told(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A failure that Headrace explains is a sentence for the agent; the SDK tells nothing of others."""
    try:
        return ask()
    except HeadraceError as error:
        raise ToolError(str(error)) from error
