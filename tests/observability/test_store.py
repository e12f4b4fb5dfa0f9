"""Tables in a store that speaks S3 (tests/object_store.py)."""

import threading
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from deltalake import DeltaTable, QueryBuilder
from object_store import KINDS, ObjectStore, object_store
from patience import eventually, free_port

from headrace.cli import request_labels, table
from headrace.contract.errors import TemporaryError
from headrace.contract.inference_table import labels_uri
from headrace.observability.drift.check import check
from headrace.observability.tables.batch import Batch
from headrace.observability.tables.delta import (
    AccessDenied,
    InferenceDeltaTable,
    StoreUnavailable,
    TableUnusable,
    storage_options,
)
from tests.observability.drift.recorded_days import FIRST, RecordedDays
from tests.observability.table_rows import batch

pytestmark = pytest.mark.slow
URI = "s3://lake/fraud"
WRITERS, COMMITS = 4, 10


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    with object_store(request.param) as found:
        yield found


@pytest.fixture
def options(store: ObjectStore) -> dict[str, str]:
    return dict(store.options)


def appended(table: InferenceDeltaTable, rows: list[Batch]) -> bool:
    try:
        table.append(rows)
    except TemporaryError:
        return False
    return True


def test_writers_at_once_lose_and_double_nothing(options: dict[str, str]) -> None:
    def write(table: InferenceDeltaTable, pod: str) -> None:
        for number in range(COMMITS):
            rows = [batch(1, 4 * number + 4, pod), batch(4 * number + 1, 4 * number + 4, "shared")]
            eventually(partial(appended, table, rows), f"{pod} has written", seconds=240)  # as a sidecar does

    threads = [
        threading.Thread(target=write, args=(InferenceDeltaTable(URI, options), f"pod-{at}")) for at in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)

    found = DeltaTable(URI, storage_options=options)
    counted = "select pod_uid, count(*) as rows, count(distinct sequence) as once from rows group by pod_uid"
    rows = QueryBuilder().register("rows", found).execute(counted).read_all()
    pods = [*(f"pod-{at}" for at in range(WRITERS)), "shared"]
    assert sorted(rows["pod_uid"].to_pylist()) == pods
    assert {*rows["rows"].to_pylist()} == {*rows["once"].to_pylist()} == {4 * COMMITS}


def test_what_is_wrong_with_a_store_is_told_by_its_kind(options: dict[str, str]) -> None:
    with pytest.raises(TableUnusable, match="nowhere"):
        InferenceDeltaTable("s3://nowhere/fraud", options).append([batch(1, 1)])
    away = {**options, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    with pytest.raises(StoreUnavailable) as told:
        InferenceDeltaTable(URI, away).append([batch(1, 1)])
    assert "\x1b" not in str(told.value)


def test_labels_and_findings_of_drift_are_kept_beside_a_table_in_a_store(
    tmp_path: Path, options: dict[str, str]
) -> None:
    uri = "s3://lake/days"
    days = RecordedDays(tmp_path, uri=uri, options=options)
    days.add(0, rows=60)
    days.add(1, rows=60, shift=3.0)
    request_labels.keep(labels_uri(uri), {"1": "0.5", "61": "0.5"}, options=options, now=FIRST)
    request_labels.keep(labels_uri(uri), {"1": "0.7"}, options=options, now=FIRST)
    found = check(uri, storage_options(uri, options), every_hours=24, now=FIRST + timedelta(days=2))

    assert found is not None
    assert found.drifted == {"input": 1, "prediction": 1}
    rows = table.read(uri, last=200, options=options, with_labels=True)
    assert {row["client_request_id"]: row["label"] for row in rows if row["label"]} == {"1": "0.7", "61": "0.5"}


def test_credentials_that_the_store_does_not_know_are_told(store: ObjectStore, options: dict[str, str]) -> None:
    if store.kind == "moto":  # from now on it looks at them
        address = f"{store.address}/moto-api/reset-auth"
        asked = urllib.request.Request(address, b"0", {"content-type": "text/plain"}, method="POST")
        urllib.request.urlopen(asked, timeout=5).close()

    with pytest.raises(AccessDenied, match="check the credentials"):
        InferenceDeltaTable(URI, {**options, "AWS_ACCESS_KEY_ID": "nobody"}).append([batch(1, 1)])
