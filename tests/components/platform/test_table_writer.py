"""The table writer's deployment: what it may do, where its tables are, and what is wrong with inputs."""

from typing import Any

import pytest
from stand_ins import DELIVERY, FOUND, IMAGE

from headrace.components import ServingPlatform, TableWriter
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.table_writer import RULES, tables_faults
from headrace.components.testing import record
from headrace.contract import names

pytestmark = pytest.mark.usefixtures("stand_in_images")


def platform(**tables: Any) -> Any:
    def program() -> None:
        given: Any = {"image_delivery": DELIVERY, "host": "models.example"}
        ServingPlatform("platform", {**given, **({"inference_tables": tables} if tables else {})})

    return record(program, answers=FOUND)


def test_it_reads_endpoints_writes_their_status_reviews_tokens_and_nothing_else() -> None:
    """Golden: a right is added here on purpose or not at all."""
    found = {(resource, verb) for rule in RULES for resource in rule["resources"] for verb in rule["verbs"]}

    assert found == {
        ("modelendpoints", "get"), ("modelendpoints", "list"), ("modelendpoints", "watch"),
        ("modelendpoints/status", "patch"), ("tokenreviews", "create"),
    }  # fmt: skip


def test_a_platform_without_tables_has_none_of_it() -> None:
    recording = platform()

    assert not [r for r in recording.resources.values() if "tables" in r.name]
    assert not recording.of_kind("PersistentVolumeClaim")


def test_tables_on_a_volume_are_written_by_one_pod_at_a_time() -> None:
    recording = platform(volume_gib=5, storage_class="fast")
    [claim] = recording.of_kind("PersistentVolumeClaim")
    deployment = recording.named("platform-tables-deployment").inputs["spec"]
    pod = deployment["template"]["spec"]

    assert claim.inputs["spec"]["storageClassName"] == "fast"
    assert claim.inputs["spec"]["resources"] == {"requests": {"storage": "5Gi"}}
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert {"name": "tables", "mountPath": "/tables"} in pod["containers"][0]["volumeMounts"]
    assert recording.waits_for("platform-tables-deployment", "platform-tables-policy")


def test_a_stores_credentials_are_in_its_pod_alone() -> None:
    recording = platform(storage_secret="lake", store_ports=[443], replicas=2)
    with_secret = [
        deployment.name
        for deployment in recording.of_kind("Deployment")
        for volume in deployment.inputs["spec"]["template"]["spec"]["volumes"]
        if volume.get("secret", {}).get("secretName") == "lake"
    ]
    policy = recording.named("platform-tables-policy").inputs["spec"]

    assert with_secret == ["platform-tables-deployment"]
    assert {"ports": [{"protocol": "TCP", "port": 443}]} in policy["egress"]
    assert recording.named("platform-tables-deployment").inputs["spec"]["replicas"] == 2


def test_only_model_pods_the_console_and_the_collector_reach_it() -> None:
    policy = platform(volume_gib=1).named("platform-tables-policy").inputs["spec"]
    [senders] = [rule["from"] for rule in policy["ingress"] if rule["ports"][0]["port"] == names.TABLES_PORT]

    pods, console, collector = senders
    assert sorted(pods) == ["namespaceSelector", "podSelector"]
    assert console == {"podSelector": {"matchLabels": {names.COMPONENT_LABEL: names.CONSOLE}}}
    assert collector == {"podSelector": {"matchLabels": {names.COMPONENT_LABEL: names.COLLECTOR}}}


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({}, "names no place for tables"),
        ({"volume_gib": 0}, "volume_gib = 0, must be at least 1"),
        ({"volume_gib": 1, "replicas": 2}, "replicas = 2, must be 1 with volume_gib"),
        ({"storage_class": "fast", "store_ports": [443]}, "storage_class is for volume_gib only"),
        ({"store_ports": [0]}, "store_ports[0] = 0"),
        ({"volume": 1}, "volume is unknown"),
        ("no", "must be an object"),
    ],
)
def test_what_is_wrong_is_said(tables: Any, said: str) -> None:
    assert said in "; ".join(tables_faults(tables))


def test_it_stands_alone() -> None:
    def program() -> None:
        TableWriter("writer", {"image": IMAGE, "tables": {"volume_gib": 1}})
        bad: Any = {"tables": {"replicas": 0}}
        with pytest.raises(ArgsError, match=r"image is missing.*replicas = 0"):
            TableWriter("bad", bad)

    [container] = (
        record(program, answers=FOUND).named("writer-deployment").inputs["spec"]["template"]["spec"]["containers"]
    )
    assert container["args"] == ["-m", "headrace.observability.tables"]
