"""Endpoints: which table there is, by the object, and the condition that the object gets."""

from datetime import UTC, datetime
from typing import Any

import pytest
from patience import eventually

from headrace.contract.errors import HeadraceError
from headrace.contract.model_endpoint import MODEL_ENDPOINT, RECORDED
from headrace.observability.tables import endpoints as module
from headrace.observability.tables.delta import AccessDenied, SchemaMismatch, StoreUnavailable, TableUnusable
from headrace.observability.tables.endpoints import Endpoints, NoTable, finding_of, read

SPEC = {
    "versions": [{"name": "v1", "modelUri": "models:/fraud/1", "image": "i"}],
    "inferenceTable": {"uri": "/tables/f"},
}
PLACE = MODEL_ENDPOINT.path.replace("/modelendpoints", "/namespaces/endpoint-fraud/modelendpoints/fraud")


def item(name: str = "fraud", namespace: str = "endpoint-fraud", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {**SPEC, **spec}}


def test_an_objects_table_is_read_and_what_breaks_a_rule_or_is_a_strangers_has_none() -> None:
    table = read(item()).table
    assert table is not None
    assert table.uri == "/tables/f"
    assert read(item(inferenceTable=None)).table is None
    assert read(item(inferenceTable={"uri": ""})).table is None
    assert read(item(namespace="endpoint-other")).table is None


def test_the_condition_is_written_beside_the_others_and_once(api: Any) -> None:
    ready = {"type": "Ready", "status": "True"}
    api.objects[MODEL_ENDPOINT.path] = {}
    api.put(MODEL_ENDPOINT.path, "fraud", namespace="endpoint-fraud", spec=SPEC)
    api.documents[PLACE] = {"metadata": {"resourceVersion": "7", "generation": 2}, "status": {"conditions": [ready]}}
    of = Endpoints(api.client(), now=lambda: datetime(2026, 11, 30, tzinfo=UTC))
    of.informer.start()
    eventually(lambda: of.informer.synced)
    assert of.table("fraud").uri == "/tables/f"
    with pytest.raises(NoTable):
        of.table("churn")
    assert of.with_tables() == ["fraud"]

    of.tell("fraud", None)
    of.tell("fraud", None)
    of.tell("fraud", SchemaMismatch("status_code is missing"))

    written = [body["status"]["conditions"] for _, body in api.patches]
    assert [path for path, _ in api.patches] == [f"{PLACE}/status"] * 2
    assert [conditions[0] for conditions in written] == [ready, ready]
    assert [(one["status"], one["reason"]) for _, one in written] == [
        ("True", "RowsWritten"),
        ("False", "SchemaMismatch"),
    ]
    of.informer.stop()


@pytest.mark.parametrize("kind", [SchemaMismatch, AccessDenied, StoreUnavailable, TableUnusable, HeadraceError])
def test_every_failure_has_a_reason_that_the_condition_declares(kind: type[HeadraceError]) -> None:
    assert finding_of(kind("x" * 5000)).reason in RECORDED.false
    assert len(finding_of(kind("x" * 5000)).message) <= 1024
    assert {*module._REASONS.values()} == {*RECORDED.false}
