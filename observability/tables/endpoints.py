"""Endpoints: which table an endpoint's rows go to, and what its object is told of it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from headrace.contract import names
from headrace.contract.conditions import Finding, conditions_json
from headrace.contract.errors import HeadraceError, InputError, TemporaryError
from headrace.contract.inference_table import InferenceTable
from headrace.contract.model_endpoint import MODEL_ENDPOINT, RECORDED, ModelEndpointSpec
from headrace.kube.api_server import ApiServer, Conflict, Missing, Object
from headrace.kube.informer import Informer
from headrace.observability.tables.delta import AccessDenied, SchemaMismatch, StoreUnavailable, TableUnusable

log = logging.getLogger(__name__)

MANAGER: Final = "headrace-tables"
_LONGEST: Final = 1024
"""Characters of a message, as in the control plane's conditions."""
_TRIES: Final = 3
_REASONS: Final[Mapping[type[HeadraceError], str]] = {
    SchemaMismatch: "SchemaMismatch",
    AccessDenied: "AccessDenied",
    StoreUnavailable: "StoreUnavailable",
    TableUnusable: "TableUnusable",
}


class NoTable(TemporaryError):
    """The endpoint records nothing, or is not known yet."""


@dataclass(frozen=True)
class KnownEndpoint:
    """What is read of a ModelEndpoint."""

    name: str
    table: InferenceTable | None


def read(item: Object) -> KnownEndpoint:
    """Of an object. One that breaks a rule has no table."""
    name = item["metadata"]["name"]
    own = item["metadata"]["namespace"] == names.endpoint_namespace(name)
    try:
        return KnownEndpoint(name, ModelEndpointSpec.from_json(item["spec"]).inference_table if own else None)
    except InputError:
        return KnownEndpoint(name, None)


class Endpoints:
    """The ModelEndpoint objects of the cluster."""

    def __init__(self, server: ApiServer, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._server, self._now = server, now
        self.informer: Informer[KnownEndpoint] = Informer(server, MODEL_ENDPOINT.path, transform=read)
        self._told: dict[str, tuple[str, str]] = {}

    def table(self, endpoint: str) -> InferenceTable:
        """Raises NoTable where there is none."""
        for found in self.informer.of((names.endpoint_namespace(endpoint), endpoint)):
            if found.table is not None:
                return found.table
        raise NoTable(f"the endpoint {endpoint} has no inference_table; set it, or wait until the object is known")

    def with_tables(self) -> list[str]:
        """Names of the endpoints that have a table."""
        return sorted({found.name for found in self.informer.all() if found.table is not None})

    def tell(self, endpoint: str, failure: HeadraceError | None) -> None:
        """Writes the condition Recorded where it differs from what was told last."""
        finding = finding_of(failure)
        told = finding.reason, finding.message
        if self._told.get(endpoint) == told:
            return
        for _ in range(_TRIES):
            try:
                self._write(endpoint, finding)
                self._told[endpoint] = told
                return
            except Conflict:
                continue
            except Missing:
                return
            except TemporaryError as error:
                log.warning("condition of ModelEndpoint %s not written: %s", endpoint, error)
                return

    def _write(self, endpoint: str, finding: Finding) -> None:
        path = MODEL_ENDPOINT.path.rpartition("/")
        place = f"{path[0]}/namespaces/{names.endpoint_namespace(endpoint)}/{path[2]}/{endpoint}"
        item = self._server.get(place)
        before = (item.get("status") or {}).get("conditions") or []
        generation = item["metadata"].get("generation", 0)
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        own = conditions_json([finding], before, now=now, generation=generation)
        conditions = [*(each for each in before if each.get("type") != RECORDED.name), *own]
        version = {"resourceVersion": item["metadata"]["resourceVersion"]}
        self._server.merge(f"{place}/status", {"metadata": version, "status": {"conditions": conditions}})


def finding_of(failure: HeadraceError | None) -> Finding:
    """What is to be told of a commit."""
    if failure is None:
        return Finding(type=RECORDED, holds=True, reason="RowsWritten", message="The last rows are in the table.")
    reason = next((reason for kind, reason in _REASONS.items() if isinstance(failure, kind)), "TableUnusable")
    return Finding(type=RECORDED, holds=False, reason=reason, message=str(failure)[:_LONGEST])
