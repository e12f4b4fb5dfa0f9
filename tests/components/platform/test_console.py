"""The console's deployment: what it may read, whom it reaches, and that it can be left out."""

from typing import Any

import pytest
from stand_ins import DELIVERY, FOUND, IMAGE

from headrace.components import Console, ServingPlatform
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.console import PROGRAMS_RULES, READ_RULES
from headrace.components.testing import Recording, record
from headrace.contract import names

pytestmark = pytest.mark.usefixtures("stand_in_images")


def platform(**given: Any) -> Recording:
    args: Any = {"image_delivery": DELIVERY, "host": "models.example", **given}
    return record(lambda: ServingPlatform("platform", args), answers=FOUND)


def environment(recording: Recording) -> dict[str, str]:
    template = recording.named("platform-console-deployment").inputs["spec"]["template"]
    return {each["name"]: each["value"] for each in template["spec"]["containers"][0]["env"]}


def test_it_reads_and_writes_nothing() -> None:
    """Golden: a right is added here on purpose or not at all."""
    found = {
        (resource, verb)
        for rule in (*READ_RULES, *PROGRAMS_RULES)
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    kinds = ("modelendpoints", "autopilotpodautoscalers")
    assert found == {*((kind, verb) for kind in kinds for verb in ("get", "list", "watch")), ("deployments", "list")}
    bound = {
        each.inputs["roleRef"]["name"]: each.inputs["metadata"].get("namespace")
        for kind in ("ClusterRoleBinding", "RoleBinding")
        for each in platform().of_kind(kind)
        if each.inputs["subjects"][0]["name"] == names.CONSOLE
    }
    assert bound == {"headrace-console": None, "headrace-console-programs": names.SYSTEM_NAMESPACE}


def test_it_is_told_what_the_platform_has() -> None:
    prefix = "HEADRACE_CONSOLE_"
    plain = environment(platform())
    assert plain[f"{prefix}POP"] == "pop-proxy.headrace-system.svc:443"
    assert plain[f"{prefix}PROMETHEUS_URL"] == "http://prometheus.headrace-system.svc:9090"
    assert f"{prefix}TABLES" not in plain
    full = environment(
        platform(exposure="node_port", inference_tables={"volume_gib": 1}, prometheus_url="http://mine:9091")
    )
    assert full[f"{prefix}POP"] == "pop-proxy.headrace-system.svc:8443"
    assert full[f"{prefix}TABLES"] == "tables.headrace-system.svc:8084"
    assert full[f"{prefix}PROMETHEUS_URL"] == "http://mine:9091"
    assert f"{prefix}PROMETHEUS_URL" not in environment(platform(autoscaler=False))


def test_another_prometheus_is_reached_on_its_port() -> None:
    def ports(recording: Recording) -> set[int]:
        egress = recording.named("platform-console-policy").inputs["spec"]["egress"]
        return {port["port"] for rule in egress if "to" not in rule for port in rule["ports"]}

    assert ports(platform()) == set()
    assert ports(platform(prometheus_url="https://mine.example")) == {443}


def test_it_can_be_left_out_and_stands_alone_and_says_what_is_wrong() -> None:
    assert "console" not in {d.inputs["metadata"]["name"] for d in platform(console=False).of_kind("Deployment")}

    def program() -> None:
        Console("console", {"image": IMAGE, "replicas": 1})
        bad: Any = {"replicas": 0, "prometheus_url": "prometheus"}
        with pytest.raises(ArgsError, match=r"image is missing.*replicas = 0.*prometheus_url"):
            Console("bad", bad)

    recording = record(program, answers=FOUND)
    assert recording.outputs[recording.named("console").urn]["address"] == "console.headrace-system.svc:8085"
