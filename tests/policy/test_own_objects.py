"""What Headrace itself creates keeps its own policy pack, and the pack's words are the contract's and the page's."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pulumi
import pytest
from attestations import attestation
from judging import violations
from rules import RULES, labels
from rules.rule import Level, Resource
from stand_ins import DELIVERY, FOUND

from headrace.components import EksCluster, EksEntrance, GpuNodePool, ModelEndpoint, ServingPlatform
from headrace.components.testing import record
from headrace.contract import names
from headrace.stacks.promotion.envelope import new_key, signed

ROOT = Path(__file__).parents[2]
STACKS = sorted((ROOT / "policy" / "stacks").glob("*.json"))
PRODUCTION = ROOT / "policy" / "stacks" / "prod.json"
PROOF = {"resourceRecordName": "_x.example.com", "resourceRecordType": "CNAME", "resourceRecordValue": "_y"}
CERTIFICATE = {"aws:acm/certificate:Certificate": {"domainValidationOptions": [PROOF]}}


def levels(config: Mapping[str, Any]) -> dict[str, str]:
    """What a violation of each rule does in a stack with this configuration file."""
    found = {rule.name: rule.level.value for rule in RULES}
    for name, given in config.items():
        found[name] = given if isinstance(given, str) else given["enforcementLevel"]
    return found


def broken(platform: Any, endpoint: Any, config: Mapping[str, Any]) -> dict[str, list[str]]:
    """By rule: what it says of a platform and an endpoint with these inputs."""

    def program() -> None:
        shared = ServingPlatform("platform", {"image_delivery": DELIVERY, "host": "models.example", **platform})
        ModelEndpoint("fraud", {"platform": shared.ref, "model_uri": "models:/fraud/7", **endpoint})

    return judged(program, config)


def judged(program: Callable[[], None], config: Mapping[str, Any]) -> dict[str, list[str]]:
    """By rule: what it says of what the program makes."""
    stack = [
        Resource(
            type=registered.type,
            props=registered.inputs,
            name=registered.name,
            urn=registered.urn,
            is_protected=registered.request.protect,
            depends_on=registered.depends_on,
        )
        for registered in record(program, answers={**FOUND, **CERTIFICATE}).resources.values()
    ]
    settings = {name: given for name, given in config.items() if isinstance(given, dict)}
    said = {rule.name: violations(rule, stack, settings.get(rule.name)) for rule in RULES}
    return {name: found for name, found in said.items() if found}


@pytest.mark.usefixtures("stand_in_images")
def test_a_platform_and_an_endpoint_at_their_defaults_are_given_advice_alone() -> None:
    said = broken({}, {}, {})

    assert set(said) == {
        "headrace-endpoint-access",
        "headrace-endpoint-budget",
        "headrace-endpoint-quota",
        "headrace-platform-certificate",
    }
    assert {levels({})[name] for name in said} == {Level.ADVISORY}


@pytest.mark.usefixtures("stand_in_images")
def test_inputs_that_follow_the_advice_keep_every_rule_of_production(tmp_path: Path) -> None:
    staging = new_key()
    (tmp_path / "staging.pem").write_text(staging.private)
    production = json.loads(PRODUCTION.read_text())
    production["headrace-endpoint-evidence"]["trusted_keys"] = [staging.public]
    endpoint = {
        "allowed_subjects": ["checkout"],
        "environment": {"API_KEY": pulumi.Output.secret("hush"), "REGION": "eu"},
        "egress": [{"cidr": "10.0.0.0/8", "ports": [443]}, {"host": "api.openai.com", "ports": [443]}],
        "volumes": {"features": {"mount_path": "/mnt/features", "claim": "features"}},
        "quota": {"pods": 8},
        "scale": {"max_replicas": 8, "cost_per_hour": 4, "pod_cost_per_hour": 0.4},
        "evidence": signed(attestation(), f"file:{tmp_path}/staging.pem"),
    }

    assert broken({"tls_secret": "public"}, endpoint, production) == {}


def test_a_cluster_of_aws_at_its_defaults_keeps_every_rule_of_production() -> None:
    def program() -> None:
        tags = {"team": "platform", "environment": "prod"}
        cluster = EksCluster("models", {"tags": tags})
        pool: Any = {"cluster": cluster.ref, "gpu": "h100", "gpus_per_node": 8, "max_nodes": 2}
        GpuNodePool("h100", pool)
        for name, certificate in (("own", "platform"), ("public", "acm")):
            way: Any = {"cluster": cluster.ref, "host": f"{name}.example.com", "zone_id": "Z1", "tags": tags}
            EksEntrance(name, {**way, "certificate": certificate})

    assert judged(program, json.loads(PRODUCTION.read_text())) == {}


@pytest.mark.parametrize("file", STACKS, ids=lambda file: file.stem)
def test_the_configuration_of_a_stack_names_rules_levels_and_settings_that_there_are(file: Path) -> None:
    config = json.loads(file.read_text())
    settings = {rule.name: {each.name: each.schema for each in rule.settings} for rule in RULES}

    assert set(config) <= set(settings)
    assert set(levels(config).values()) <= {"advisory", "mandatory", "disabled"}
    for name, given in config.items():
        if isinstance(given, dict):
            own = {key: value for key, value in given.items() if key != "enforcementLevel"}
            jsonschema.validate(own, {"properties": settings[name], "additionalProperties": False})


def test_production_stops_at_everything_that_is_advice_elsewhere() -> None:
    assert set(levels(json.loads(PRODUCTION.read_text())).values()) == {"mandatory"}


def test_the_rules_spell_labels_as_the_contract_does() -> None:
    """The policy process cannot import the contract, so it restates these."""
    assert labels.ENDPOINT == names.ENDPOINT_LABEL
    assert labels.COMPONENT == names.COMPONENT_LABEL
    assert names.endpoint_namespace("fraud") == f"{labels.ENDPOINT_NAMESPACE}fraud"
    assert (labels.POP_PROXY, labels.LOAD_BALANCER, labels.ROUTING) == (
        names.POP_PROXY,
        names.LOAD_BALANCER,
        names.ROUTING,
    )


def test_the_page_has_each_rule_as_the_pack_does() -> None:
    page = (ROOT / "docs" / "policy.md").read_text()
    rows = [
        f"| {rule.name} | {rule.level} | {rule.description} | "
        f"{', '.join(f'`{setting.name}`' for setting in rule.own_settings)} |"
        for rule in RULES
    ]

    assert [row for row in rows if row not in page] == []
