"""Turns rules, which are plain functions, into the objects that Pulumi's policy engine runs."""

from collections.abc import Callable
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from rules.rule import EXEMPT_NAMESPACES, ObjectRule, Resource, StackRule

_NAMESPACES = {"type": "array", "items": {"type": "string"}, "default": []}
_CONFIG = PolicyConfigSchema(
    properties={EXEMPT_NAMESPACES: {**_NAMESPACES, "description": "Namespaces whose objects this rule leaves alone."}}
)


def policy(rule: ObjectRule | StackRule) -> ResourceValidationPolicy | StackValidationPolicy:
    """The policy that reports what `rule` finds; every rule stops the update."""
    common: dict[str, Any] = {
        "name": rule.name,
        "description": rule.description,
        "enforcement_level": EnforcementLevel.MANDATORY,
        "config_schema": _CONFIG,
    }
    if isinstance(rule, ObjectRule):
        return ResourceValidationPolicy(validate=_reporting(rule, _resource), **common)
    return StackValidationPolicy(validate=_reporting(rule, _resources), **common)


def _reporting(rule: ObjectRule | StackRule, seen: Callable[[Any], Any]) -> Callable[[Any, ReportViolation], None]:
    def validate(args: Any, report: ReportViolation) -> None:
        for violation in rule.violations(seen(args), args.get_config()):
            report(violation, None)

    return validate


def _resource(args: Any) -> Resource:
    return Resource(type=args.resource_type, props=args.props)


def _resources(args: StackValidationArgs) -> list[Resource]:
    return [_resource(resource) for resource in args.resources]
