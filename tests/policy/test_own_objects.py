"""What Headrace itself creates keeps its own policy pack, and the pack's words are the contract's."""

from pathlib import Path
from typing import Any

import pulumi
import pytest
from rules import RULES, egress, replicas, security
from rules.rule import ObjectRule, Resource
from stand_ins import DELIVERY, FOUND

from headrace.components import ModelEndpoint, ServingPlatform
from headrace.components.testing import record
from headrace.contract import names

pytestmark = pytest.mark.usefixtures("stand_in_images")


@pytest.fixture(scope="module")
def rule_names() -> list[str]:
    return [rule.name for rule in RULES]


def test_a_platform_and_an_endpoint_break_no_rule() -> None:
    given: Any = {"image_delivery": DELIVERY, "host": "models.example"}

    def program() -> None:
        platform = ServingPlatform("platform", given)
        ModelEndpoint(
            "fraud",
            {
                "platform": platform.ref,
                "model_uri": "models:/fraud/7",
                "environment": {"API_KEY": pulumi.Output.secret("hush"), "REGION": "eu"},
                "egress": [{"cidr": "10.0.0.0/8", "ports": [443]}, {"host": "api.openai.com", "ports": [443]}],
                "volumes": {"features": {"mount_path": "/mnt/features", "claim": "features"}},
            },
        )

    stack = [
        Resource(type=registered.type, props=registered.inputs)
        for registered in record(program, answers=FOUND).resources.values()
    ]
    violations = [
        violation
        for rule in RULES
        for violation in (
            [found for resource in stack for found in rule.violations(resource, {})]
            if isinstance(rule, ObjectRule)
            else rule.violations(stack, {})
        )
    ]

    assert violations == []


def test_the_rules_spell_labels_as_the_contract_does() -> None:
    """The policy process cannot import the contract, so it restates these."""
    assert replicas.ENDPOINT_LABEL == names.ENDPOINT_LABEL
    assert security.COMPONENT_LABEL == names.COMPONENT_LABEL
    assert names.endpoint_namespace("fraud") == f"{egress.PREFIX}fraud"


def test_every_rule_has_its_heading_in_the_documentation(rule_names: list[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()

    assert [name for name in rule_names if f"### {name}\n" not in page] == []
