"""An endpoint with an inference table, on the cluster: a row for every request, whatever its protocol or its fate."""

# mypy: disable-error-code="import-untyped"

import json
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError
from live_platform import Answer, Platform, eventually
from typer.testing import CliRunner

from headrace.cli.__main__ import app
from headrace.contract import names, telemetry
from headrace.contract.inference_table import COLUMNS
from headrace.local import cluster_layout
from headrace.observability.tables.batch import Batch
from headrace.observability.tables.delta import InferenceDeltaTable

NAME = "recorded"
NAMESPACE = names.endpoint_namespace(NAME)
PATH = f"/serving-endpoints/{NAME}"
UNRECORDED = "unrecorded"
"""An endpoint without a table."""
TABLES = {"volume_gib": 1, "storage_class": cluster_layout.STORAGE_CLASS}
VISIBLE_SECONDS = 10.0
COUNTERS = """
import urllib.request
for port in (8002, 8003):
    print(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode())
"""
KILL_FRONT = """
import os, pathlib, signal
for path in pathlib.Path("/proc").glob("[0-9]*"):
    command = (path / "cmdline").read_bytes().split(b"\\0")
    if command[1:3] == [b"-m", b"headrace.runtimes"] and path.name not in ("1", str(os.getpid())):
        os.kill(int(path.name), signal.SIGKILL)
"""


class Recorded:
    """The endpoint and its table."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.seen: dict[str, Answer] = {}
        """Answers by request id."""

    def settings(self, **table: Any) -> dict[str, Any]:
        endpoint = {
            "name": NAME,
            "model_uri": self.platform.model.model_uri,
            "cpu": 0.4,
            "inference_table": {"uri": f"/tables/{NAME}", "drift": {"every_hours": 1}, **table},
        }
        bare = {"name": UNRECORDED, "model_uri": self.platform.model.model_uri, "cpu": 0.3}
        return {**self.platform.settings([self.platform.endpoint, endpoint, bare]), "inference_tables": TABLES}

    def ask(self, body: Any, *, verb: str = "/invocations", **headers: str) -> Answer:
        answer = self.platform.ask(body, path=PATH + verb, headers=headers)
        self.seen[answer.headers["x-request-id"]] = answer
        return answer

    def rows(self) -> dict[str, dict[str, Any]]:
        """By request id; fails where one is there twice."""
        try:
            table = DeltaTable(str(cluster_layout.folders().tables / NAME))
        except TableNotFoundError:
            return {}
        found = QueryBuilder().register("rows", table).execute("select * from rows").read_all()
        columns = {name: found[name].to_pylist() for name in found.column_names}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        assert len({(row["pod_uid"], row["sequence"]) for row in rows}) == len(rows)
        assert len({row["databricks_request_id"] for row in rows}) == len(rows)
        return {row["databricks_request_id"]: row for row in rows}

    def counters(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for line in self.within(COUNTERS).splitlines():
            if line.startswith("headrace_records_"):
                name, _, rest = line.removeprefix("headrace_records_").partition("{")
                found[name] += int(float(rest.rpartition(" ")[2]))
        return found

    def adds_up(self) -> bool:
        told = self.counters()
        settled = sum(told[f"{each}_total"] for each in ("written", "too_large", "sampled_out", "dropped"))
        return told["attempted_total"] == settled and told["pending"] == 0

    def within(self, script: str) -> str:
        """What a script prints in the model's container."""
        python = "/usr/bin/python3.11"
        return self.platform.kubectl(
            "-n", NAMESPACE, "exec", "deployment/v1", "-c", "model", "--", python, "-c", script
        )


@pytest.fixture(scope="module")
def recorded(platform: Platform) -> Recorded:
    found = Recorded(platform)
    platform.stack.up(found.settings())
    eventually(lambda: platform.ask(platform.model.request, path=f"{PATH}/invocations").status == 200)
    return found


def test_requests_of_every_protocol_are_rows_within_seconds(recorded: Recorded) -> None:
    triton = pytest.importorskip("tritonclient.grpc")
    platform, request = recorded.platform, recorded.platform.model.request
    split = request["dataframe_split"]
    columns = np.array(split["data"], dtype=np.float64).T
    tensors = [
        {"name": name, "datatype": "FP64", "shape": [len(column)], "data": column.tolist()}
        for name, column in zip(split["columns"], columns, strict=True)
    ]
    recorded.ask({**request, "client_request_id": "mine"})
    recorded.ask({"inputs": tensors}, verb=f"/v2/models/{NAME}/infer")
    assert recorded.ask(b"{").status == 400
    inputs = [triton.InferInput(one["name"], one["shape"], "FP64") for one in tensors]
    for tensor, column in zip(inputs, columns, strict=True):
        tensor.set_data_from_numpy(column.copy())
    headers = {
        "authorization": f"Bearer {platform.description['token']}", "headrace-endpoint": NAME,
        "x-request-id": "by-grpc",
    }  # fmt: skip
    address = str(platform.description["url"]).removeprefix("https://")
    with triton.InferenceServerClient(address, ssl=True, root_certificates=platform.description["ca_file"]) as client:
        result = client.infer(NAME, inputs, headers=headers)
    began = time.monotonic()
    expected = {*recorded.seen}

    def all_there() -> bool:
        found = recorded.rows()
        return expected <= found.keys() and any(row["path"].endswith("/ModelInfer") for row in found.values())

    eventually(all_there, seconds=30)
    assert time.monotonic() - began <= VISIBLE_SECONDS

    rows = recorded.rows()
    for identity, answer in recorded.seen.items():
        row = rows[identity]
        assert (row["status_code"], row["response"]) == (answer.status, answer.body.decode())
        assert row["requester"]
        assert row["served_entity_id"] == "v1"
    scored = next(row for row in rows.values() if row["client_request_id"] == "mine")
    assert json.loads(scored["request"]) == {**request, "client_request_id": "mine"}
    [called] = [row for row in rows.values() if row["path"].endswith("/ModelInfer")]
    assert [one["data"] for one in json.loads(called["request"])["inputs"]] == [one["data"] for one in tensors]
    [output] = json.loads(called["response"])["outputs"]
    assert output["data"] == result.as_numpy(output["name"]).tolist() == platform.model.expected


def test_the_object_says_that_rows_are_written(recorded: Recorded) -> None:
    recorded.ask(recorded.platform.model.request)

    def told() -> tuple[str, str]:
        condition = recorded.platform.conditions(NAME).get("Recorded", {})
        return condition.get("status", ""), condition.get("reason", "")

    assert eventually(lambda: told() == ("True", "RowsWritten"))
    assert recorded.platform.conditions(NAME)["Ready"]["status"] == "True"


def telemetry_rows(table: str, endpoint: str) -> list[dict[str, Any]]:
    """Spans or lines whose resource names the endpoint, with their columns of text."""
    uri = str(cluster_layout.folders().tables / table)
    named = f'%"{telemetry.ENDPOINT_ATTRIBUTE}":"{endpoint}"%'
    told = "name" if table == telemetry.SPANS else "service_name as name, body"
    sql = f"select {told}, attributes from rows where resource['attributes'] like '{named}'"
    try:
        found = QueryBuilder().register("rows", DeltaTable(uri)).execute(sql).read_all()
    except TableNotFoundError:
        return []
    columns = {name: found[name].to_pylist() for name in found.column_names}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def test_an_endpoint_without_a_table_has_spans_and_lines_and_nothing_that_was_said(recorded: Recorded) -> None:
    platform, path = recorded.platform, f"/serving-endpoints/{UNRECORDED}/invocations"
    traced = {telemetry.FORCE_HEADER: "mine"}
    eventually(lambda: platform.ask(platform.model.request, path=path).status == 200)
    assert platform.ask(platform.model.request, path=path, headers=traced).status == 200
    assert platform.ask({"a secret of the caller": 1}, path=path, headers=traced).status == 400

    def spans() -> set[str]:
        return {row["name"] for row in telemetry_rows(telemetry.SPANS, UNRECORDED)}

    def lines() -> set[str]:
        return {row["name"] for row in telemetry_rows(telemetry.LOGS, UNRECORDED)}

    assert eventually(lambda: spans() >= {"request", "queue", "batch", "model"}, seconds=60)
    assert eventually(lambda: "front" in lines(), seconds=60)
    told = [telemetry_rows(table, UNRECORDED) for table in (telemetry.SPANS, telemetry.LOGS)]
    assert "a secret of the caller" not in json.dumps(told)
    assert not (cluster_layout.folders().tables / UNRECORDED).exists()


def test_every_controller_has_lines_in_the_table_of_logs(recorded: Recorded) -> None:
    """Each says at its start where it serves."""
    recorded.ask(recorded.platform.model.request)
    controllers = {
        names.ROUTING, names.MANAGEMENT, names.ROLLOUT, names.AUTOSCALER, names.ACTIVATOR, names.TABLES, names.CONSOLE,
    }  # fmt: skip

    def told() -> set[str]:
        table = DeltaTable(str(cluster_layout.folders().tables / telemetry.LOGS))
        sql = "select distinct service_name from rows where body like '%on port%'"
        return set(QueryBuilder().register("rows", table).execute(sql).read_all()["service_name"].to_pylist())

    assert eventually(lambda: told() >= controllers, seconds=60)


def test_nothing_is_lost_or_doubled_when_the_writer_and_the_front_are_killed(recorded: Recorded) -> None:
    platform = recorded.platform
    for number in range(60):
        if number == 20:
            platform.kubectl(
                "-n", names.SYSTEM_NAMESPACE, "delete", "pod", "--force", "--grace-period=0", "--wait=false",
                "-l", f"{names.COMPONENT_LABEL}={names.TABLES}",
            )  # fmt: skip
        if number == 40:
            recorded.within(KILL_FRONT)
            eventually(lambda: platform.ask(platform.model.request, path=f"{PATH}/invocations").status == 200)
        recorded.ask(platform.model.request)
    answered = {identity for identity, answer in recorded.seen.items() if answer.status == 200}

    assert eventually(lambda: answered <= recorded.rows().keys(), seconds=90)
    assert eventually(recorded.adds_up, seconds=30)
    assert recorded.counters()["dropped_total"] == 0
    assert recorded.counters()["attempted_total"] == len(recorded.rows())


def test_drift_from_the_first_hour_is_found_in_the_writers_pod(recorded: Recorded) -> None:
    """Three days of history are not had in minutes: the first hour is copied from the last rows, with other numbers."""
    for _ in range(60):
        recorded.ask(recorded.platform.model.request)
    eventually(lambda: len(recorded.rows()) >= len(recorded.seen), seconds=60)
    folder = cluster_layout.folders().tables
    owned = InferenceDeltaTable(str(folder / NAME), {}, volume=PurePosixPath(folder))
    owned.append([first_hour(recorded.platform.model.request)])
    asked = json.dumps({"uri": f"/tables/{NAME}", "options": {}, "every_hours": 1})
    told = recorded.platform.kubectl(
        "-n", names.SYSTEM_NAMESPACE, "exec", f"deployment/{names.TABLES}", "--", "sh", "-c",
        f"echo '{asked}' | python3 -m headrace.observability.drift",
    )  # fmt: skip

    assert json.loads(told)["drifted"]["input"] > 0
    shown = CliRunner().invoke(app, ["drift", NAME, "--json"])
    assert shown.exit_code == 1, shown.output
    assert {json.loads(line)["served_entity_id"] for line in shown.stdout.splitlines()} == {"v1"}


def first_hour(request: dict[str, Any]) -> Batch:
    """A hundred requests of three days ago, with numbers that are a hundred greater."""
    begin = datetime.now(UTC) - timedelta(days=3)
    split = request["dataframe_split"]
    greater = {"dataframe_split": {**split, "data": [[value + 100 for value in row] for row in split["data"]]}}
    lines = []
    for number in range(1, 101):
        time = begin + timedelta(seconds=30 * number)
        told = {
            **dict.fromkeys(COLUMNS), "databricks_request_id": f"first-{number}", "status_code": 200,
            "request_date": (time.date() - date(1970, 1, 1)).days, "request_time": round(time.timestamp() * 1e6),
            "request": json.dumps(greater), "response": json.dumps({"predictions": [0.0]}),
            "logging_error_codes": [], "served_entity_id": "v1", "sequence": number,
        }  # fmt: skip
        lines.append(json.dumps(list(told.values())).encode())
    return Batch.read(b"\n".join(lines), pod_uid="of-three-days-ago")


def test_the_model_can_neither_read_the_sidecars_token_nor_write_rows(recorded: Recorded) -> None:
    tried = recorded.within(
        "import os, urllib.request, urllib.error\n"
        "print(os.path.exists('/var/run/secrets/headrace/token'))\n"
        f"address = {recorded.platform.kubectl('-n', names.SYSTEM_NAMESPACE, 'get', 'service', names.TABLES, '-o', 'jsonpath={.spec.clusterIP}')!r}\n"  # noqa: E501
        f"asked = urllib.request.Request(f'http://{{address}}:{names.TABLES_PORT}/records', data=b'[]')\n"
        "try:\n"
        "    urllib.request.urlopen(asked, timeout=10)\n"
        "except urllib.error.HTTPError as error:\n"
        "    print(error.code)\n"
    )

    assert tried.split() == ["False", "401"]


def test_a_table_that_cannot_be_written_is_said_and_the_endpoint_serves_on(recorded: Recorded) -> None:
    platform = recorded.platform
    folder = cluster_layout.folders().tables / "elsewhere"
    folder.write_text("a file where a table should be")
    try:
        platform.stack.up(recorded.settings(uri="/tables/elsewhere"))
        eventually(lambda: platform.ask(platform.model.request, path=f"{PATH}/invocations").status == 200)

        def told() -> tuple[str, str]:
            assert platform.ask(platform.model.request, path=f"{PATH}/invocations").status == 200
            condition = platform.conditions(NAME).get("Recorded", {})
            return condition.get("status", ""), condition.get("reason", "")

        assert eventually(lambda: told() == ("False", "TableUnusable"), seconds=60)
    finally:
        folder.unlink()
        platform.stack.up(recorded.settings())
