"""The Collector's deployment: when there is one, whom it takes spans from, and whom it tells."""

import json
from typing import Any

import pytest
from pod_security import violations
from stand_ins import DELIVERY, FOUND

from headrace.components import ServingPlatform
from headrace.components.testing import record
from headrace.contract import names, telemetry

pytestmark = pytest.mark.usefixtures("stand_in_images")
VOLUME: Any = {"volume_gib": 1}


def platform(**inputs: Any) -> Any:
    def program() -> None:
        ServingPlatform("platform", {"image_delivery": DELIVERY, "host": "models.example", **inputs})

    return record(program, answers=FOUND)


def config(recording: Any) -> Any:
    return json.loads(recording.named("platform-collector-config").inputs["data"]["collector.json"])


def environment(recording: Any, program: str) -> dict[str, Any]:
    [container] = recording.named(program).inputs["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_a_platform_with_a_volume_of_tables_traces_without_being_asked() -> None:
    recording = platform(inference_tables=VOLUME)
    pod = recording.named("platform-collector-deployment").inputs["spec"]["template"]["spec"]
    [exporter] = config(recording)["exporters"].values()

    assert list(violations(pod)) == []
    assert exporter["endpoint"] == "http://tables.headrace-system.svc:8084"
    assert environment(recording, "platform-tables-deployment")[telemetry.ENV_TELEMETRY_TABLES] == "/tables"
    assert environment(recording, "platform-routing-deployment")[telemetry.ENV_COLLECTOR] == (
        "collector.headrace-system.svc:4317"
    )


@pytest.mark.parametrize("inputs", [{}, {"inference_tables": {"store_ports": [443]}}])
def test_where_nobody_would_read_spans_there_are_none(inputs: Any) -> None:
    recording = platform(**inputs)

    assert not [each for each in recording.resources.values() if "collector" in each.name]
    assert telemetry.ENV_COLLECTOR not in environment(recording, "platform-routing-deployment")


CONTROLLERS = ("routing", "management", "rollout", "autoscaler", "activator", "tables", "console")


def test_every_controller_sends_its_lines_where_lines_are_kept() -> None:
    recording = platform(inference_tables=VOLUME)
    told = {
        program: environment(recording, f"platform-{program}-deployment").get(telemetry.ENV_LOG_COLLECTOR)
        for program in CONTROLLERS
    }

    assert told == dict.fromkeys(CONTROLLERS, "collector.headrace-system.svc:4318")
    way = {"to": [{"podSelector": {"matchLabels": {names.COMPONENT_LABEL: names.COLLECTOR}}}]}
    way["ports"] = [{"protocol": "TCP", "port": names.OTLP_HTTP_PORT}]
    for program in CONTROLLERS:
        assert way in recording.named(f"platform-{program}-policy").inputs["spec"]["egress"], program


@pytest.mark.parametrize("inputs", [{}, {"telemetry": {"mlflow_uri": "http://mlflow.mlflow:5000"}}])
def test_where_nobody_keeps_lines_no_controller_sends_any(inputs: Any) -> None:
    recording = platform(**inputs)
    deployed = [program for program in CONTROLLERS if program != "tables"]

    for program in deployed:
        assert telemetry.ENV_LOG_COLLECTOR not in environment(recording, f"platform-{program}-deployment")


def test_spans_go_to_a_backend_with_secrets_that_only_its_pod_has_and_to_mlflow() -> None:
    recording = platform(
        telemetry={
            "otlp_endpoint": "https://otlp.example:4318/", "otlp_headers": {"authorization": "key"},
            "headers_secret": "backend", "mlflow_uri": "http://mlflow.mlflow:5000", "mlflow_experiment_id": "7",
            "spans_per_second": 50,
        }
    )  # fmt: skip
    found = config(recording)
    backend, mlflow = (found["exporters"][f"otlp_http/{name}"] for name in ("backend", "mlflow"))

    assert (backend["endpoint"], backend["headers"]) == (
        "https://otlp.example:4318", {"authorization": "${env:OTLP_HEADER_0}"},
    )  # fmt: skip
    reference = environment(recording, "platform-collector-deployment")["OTLP_HEADER_0"]
    assert reference == {"secretKeyRef": {"name": "backend", "key": "key"}}
    assert (mlflow["endpoint"], mlflow["headers"]) == ("http://mlflow.mlflow:5000", {"x-mlflow-experiment-id": "7"})
    pipelines = found["service"]["pipelines"]
    assert pipelines["logs"]["exporters"] == ["otlp_http/backend"], "MLflow takes traces alone"
    assert pipelines["traces"]["exporters"] == ["otlp_http/backend", "otlp_http/mlflow"]
    assert found["service"]["extensions"] == ["health_check"], "the table writer's token is shown to nobody else"
    ports = [{"protocol": "TCP", "port": port} for port in (4318, 5000)]
    assert {"ports": ports} in recording.named("platform-collector-policy").inputs["spec"]["egress"]


def test_it_takes_spans_from_the_platforms_pods_and_model_pods_alone() -> None:
    ingress = platform(inference_tables=VOLUME).named("platform-collector-policy").inputs["spec"]["ingress"]
    [senders] = [rule["from"] for rule in ingress if {"protocol": "TCP", "port": names.OTLP_HTTP_PORT} in rule["ports"]]
    own, models = senders

    assert own == {"podSelector": {}}, "of its own namespace"
    assert "namespaceSelector" in models
    assert models["podSelector"]["matchExpressions"][0]["key"] == names.ENDPOINT_LABEL
