"""An endpoint that records: what its pods get, and what is wrong with inputs."""

import json
from typing import Any

import pulumi
import pytest
from pod_security import violations
from stand_ins import DELIVERY, FOUND

from headrace.components import ModelEndpoint, ServingPlatform
from headrace.components.endpoint.endpoint_recording import table_faults
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import record
from headrace.contract import names
from headrace.contract.inference_table import ENV_RECORDING, Recording

pytestmark = pytest.mark.usefixtures("stand_in_images")
TABLE: Any = {"uri": "s3://lake/fraud", "sampling_fraction": 0.5, "redact": {"columns": ["ssn"]}}


def endpoint(**inputs: Any) -> Any:
    def program() -> None:
        given: Any = {"image_delivery": DELIVERY, "host": "models.example", "inference_tables": {"store_ports": [443]}}
        platform = ServingPlatform("platform", given)
        ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": "models:/fraud/7", **inputs})

    return record(program, answers=FOUND)


def pod(recording: Any) -> Any:
    return recording.named("fraud-v7-deployment").inputs["spec"]["template"]["spec"]


def test_a_pod_that_records_has_a_sidecar_that_alone_holds_the_token() -> None:
    found = pod(endpoint(inference_table=TABLE))
    [sidecar], [model] = found["initContainers"], found["containers"]
    told = {variable["name"]: variable.get("value") for variable in model["env"]}

    assert list(violations(found)) == []
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["image"] == model["image"]
    assert Recording.from_json(json.loads(told[ENV_RECORDING])).sampling_fraction == 0.5
    tokens = [[mount["name"] for mount in one["volumeMounts"] if "token" in mount["name"]] for one in (sidecar, model)]
    assert tokens == [["table-token"], []]
    [volume] = [one for one in found["volumes"] if one["name"] == "table-token"]
    [source] = volume["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "headrace-tables"


def test_a_pod_that_records_nothing_has_none_of_it() -> None:
    recording = endpoint()
    found = pod(recording)

    assert found["initContainers"] == []
    assert "records" not in json.dumps(found)
    [rule] = recording.named("fraud-policy").inputs["spec"]["egress"]
    assert names.COLLECTOR in json.dumps(rule["to"]), "spans and lines of an endpoint are no records"


def test_its_sidecar_reaches_the_table_writer_and_the_collector_and_no_dns() -> None:
    rules = endpoint(inference_table=TABLE).named("fraud-policy").inputs["spec"]["egress"]

    assert [rule["ports"] for rule in rules] == [
        [{"protocol": "TCP", "port": port} for port in ports]
        for ports in ((names.TABLES_PORT,), (names.OTLP_GRPC_PORT, names.OTLP_HTTP_PORT))
    ]


def test_its_object_says_where_the_table_is() -> None:
    spec = endpoint(inference_table=TABLE).named("fraud-endpoint").inputs["spec"]

    assert spec["inferenceTable"]["uri"] == "s3://lake/fraud"
    assert "inferenceTable" not in endpoint().named("fraud-endpoint").inputs["spec"]


def test_a_platform_that_writes_no_tables_is_refused() -> None:
    def program() -> None:
        platform: Any = {
            "namespace": "headrace-system",
            "url": "https://x",
            "image_delivery": DELIVERY,
            "image_base": {},
        }
        ModelEndpoint("fraud", {"platform": platform, "model_uri": "models:/fraud/7", "inference_table": TABLE})

    with pytest.raises((ArgsError, pulumi.RunError, Exception), match="set inference_tables of its ServingPlatform"):
        record(program, answers=FOUND)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"uri": "/data/fraud"}, "must be a store's address"),
        ({"uri": "/tables/../x"}, "must be a store's address"),
        ({"uri": "https://x"}, "must be a store's address"),
        ({"uri": "/tables/x", "redact": {"json_paths": ["a"]}}, "json_paths has 'a'"),
        ({"uri": "/tables/x", "redact": {"patterns": ["("]}}, "must be a regular expression"),
    ],
)
def test_what_is_wrong_is_said(table: Any, said: str) -> None:
    assert said in "; ".join(table_faults(table))
