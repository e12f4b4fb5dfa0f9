"""The rules, each on resources that keep it, break it, lack what it looks at, or are exempt."""

import copy
import dataclasses
from typing import Any

import pytest
from cases import CASES
from judging import DEPLOYMENT, Case, deployment, violations
from rules import RULES
from rules.pods import digest
from rules.rule import ObjectRule, Resource

BROKEN = [case for case in CASES if case.words]
KEPT = [case for case in CASES if not case.words]
OBJECT_RULES = [rule for rule in RULES if isinstance(rule, ObjectRule)]


@pytest.mark.parametrize("case", KEPT, ids=str)
def test_what_keeps_a_rule_passes(case: Case) -> None:
    assert violations(case.rule, case.resources, case.config) == []


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_what_breaks_a_rule_is_told_what_to_set(case: Case) -> None:
    found = violations(case.rule, case.resources, case.config)

    assert any(case.words in violation for violation in found), found
    assert all("; " in violation and violation[0].isupper() for violation in found), "Kind name: fault; remedy"


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_what_is_exempt_is_left_alone(case: Case) -> None:
    named = [dataclasses.replace(resource, name=resource.name or "mine") for resource in case.resources]
    exempt = [resource.name for resource in named]

    assert violations(case.rule, named, {**case.config, "exempt": exempt}) == []
    assert violations(case.rule, named, {**case.config, "exempt": ["another"]}) != []


@pytest.mark.parametrize("case", [case for case in BROKEN if case.resources[0].namespace], ids=str)
def test_a_namespace_of_others_is_left_alone(case: Case) -> None:
    assert violations(case.rule, case.resources, {**case.config, "exempt_namespaces": ["endpoint-fraud"]}) == []
    assert violations(case.rule, case.resources, {**case.config, "exempt_namespaces": ["another"]}) != []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_is_seen_to_fire_and_to_be_kept(rule: Any) -> None:
    assert any(case.rule is rule for case in BROKEN)
    assert any(case.rule is rule for case in KEPT)


@pytest.mark.parametrize("rule", OBJECT_RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("props", [{}, {"spec": None}, {"metadata": None, "spec": {}}])
def test_a_resource_that_lacks_what_a_rule_looks_at_does_not_break_the_rule_itself(
    rule: ObjectRule, props: Any
) -> None:
    for kind in sorted({resource.type for case in CASES for resource in case.resources}):
        assert isinstance(violations(rule, [Resource(type=kind, props=props)]), list)


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_resources_of_other_packages_are_not_judged(case: Case) -> None:
    elsewhere = [
        Resource(type=f"other:{resource.type}", props=resource.props, name=resource.name) for resource in case.resources
    ]

    assert violations(case.rule, elsewhere, case.config) == []


def test_pods_are_found_in_every_kind_that_makes_them() -> None:
    bad = copy.deepcopy(DEPLOYMENT["spec"]["template"])
    bad["spec"]["containers"][0]["image"] = "x:latest"
    cron = {"metadata": {"name": "n"}, "spec": {"jobTemplate": {"spec": {"template": bad}}}}

    assert violations(digest.RULE, [Resource(type="kubernetes:batch/v1:CronJob", props=cron)])
    assert violations(digest.RULE, [Resource(type="kubernetes:core/v1:Pod", props={"spec": bad["spec"]})])
    for kind in ("StatefulSet", "DaemonSet", "ReplicaSet"):
        made = Resource(type=f"kubernetes:apps/v1:{kind}", props={"spec": {"template": bad}})
        assert violations(digest.RULE, [made])


def test_a_violation_names_the_object_as_kubernetes_does() -> None:
    (violation,) = violations(digest.RULE, [deployment(lambda spec, pod, c: c.update(image="x"))])

    assert violation.startswith("Deployment endpoint-fraud/v7: container model has image 'x'")


def test_rule_names_are_unique_and_in_the_form_of_their_trade() -> None:
    found_names = [rule.name for rule in RULES]

    assert len(set(found_names)) == len(found_names)
    assert all(name == name.lower() and name.count("-") >= 2 for name in found_names)
