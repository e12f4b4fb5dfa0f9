"""AgentTools: what an agent may ask, over what the commands show, with the rights of whoever started it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from headrace.cli import endpoint_status, rollout, table, why
from headrace.cli.agent import table_query, untrusted
from headrace.cli.agent.table_query import TableQuery
from headrace.contract import names
from headrace.contract.errors import InputError, PermanentError

if TYPE_CHECKING:
    from headrace.cli.cluster_reader import ClusterReader

HOURS_MOST: Final = 24 * 366
SLOW_MOST: Final = 100
Answer = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class AgentTools:
    """Each method only reads, answers a document as `untrusted.marked` has it, and raises a HeadraceError."""

    cluster: "ClusterReader"
    uri: str = ""
    """Folder of the table, or of all tables; empty: as each endpoint's object has it."""
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    requester: str = ""
    """Only this caller's rows are told; empty: all that the store gives."""
    seconds: float = table_query.SECONDS_MOST
    """Of one query."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def endpoints(self, endpoint: str = "") -> Answer:
        """One endpoint, or all, as EndpointState has it."""
        if endpoint:
            self._require_name(endpoint)
        found = endpoint_status.look(self.cluster, endpoint or None)
        return untrusted.marked(untrusted.clean([state.document() for state in found]))

    def why(self, endpoint: str) -> Answer:
        """What happened to the endpoint, oldest first."""
        self._require_name(endpoint)
        return untrusted.marked(untrusted.clean([asdict(each) for each in why.happenings(self.cluster, endpoint)]))

    def rollout(self, endpoint: str) -> Answer:
        """How far the rollout has come, and its evidence."""
        return untrusted.marked(untrusted.clean(rollout.evidence(self._object(endpoint), endpoint)))

    def errors(self, endpoint: str, hours: float) -> Answer:
        """Recorded requests of the last hours that were not answered well, by kind."""
        return self._rows(endpoint, table_query.errors_sql(self._since(hours)))

    def slow_requests(self, endpoint: str, hours: float, last: int) -> Answer:
        """The slowest recorded requests of the last hours."""
        if not 1 <= last <= SLOW_MOST:
            raise InputError("slow_requests", [f"last = {last}, must be 1 to {SLOW_MOST}"])
        return self._rows(endpoint, table_query.slow_sql(self._since(hours), last))

    def query_table(self, endpoint: str, sql: str) -> Answer:
        """What one SELECT finds."""
        return self._rows(endpoint, sql)

    def _rows(self, endpoint: str, sql: str) -> Answer:
        """Whoever may not read the endpoint's object gets no row of its table."""
        recorded = self._object(endpoint).get("spec", {}).get("inferenceTable", {}).get("uri", "")
        if not (self.uri or recorded):
            raise PermanentError(
                f"endpoint = {endpoint!r} records nothing: give its ModelEndpoint the input inference_table"
            )
        asked = TableQuery(
            uri=table.place(endpoint, self.uri or recorded),
            storage_options=self.storage_options,
            requester=self.requester,
            sql=sql,
        )
        return untrusted.marked(asked.run(seconds=self.seconds))  # the process cleaned it

    def _object(self, endpoint: str) -> Mapping[str, Any]:
        self._require_name(endpoint)
        found: Mapping[str, Any] = self.cluster.endpoint(endpoint)
        return found

    def _require_name(self, endpoint: str) -> None:
        """An agent's text becomes a part of a path."""
        if names.DNS_LABEL.fullmatch(endpoint) is None:
            raise InputError("endpoint", [f"name = {endpoint!r}, must be a DNS label; `endpoints` tells all names"])

    def _since(self, hours: float) -> datetime:
        if not 0 < hours <= HOURS_MOST:
            raise InputError("hours", [f"hours = {hours:g}, must be above 0 and at most {HOURS_MOST}"])
        return self.now() - timedelta(hours=hours)
