"""Turns rules, which are plain functions, into the objects that Pulumi's policy engine runs."""

from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from rules.rule import EXEMPT_NAMESPACES, ObjectRule, Resource, StackRule

_CONFIG = PolicyConfigSchema(
    properties={
        EXEMPT_NAMESPACES: {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "description": "Namespaces whose objects this rule leaves alone.",
        }
    }
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
        return ResourceValidationPolicy(validate=_on_object(rule), **common)
    return StackValidationPolicy(validate=_on_stack(rule), **common)


def _on_object(rule: ObjectRule) -> Any:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for violation in rule.violations(Resource(type=args.resource_type, props=args.props), args.get_config()):
            report(violation, None)

    return validate


def _on_stack(rule: StackRule) -> Any:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = [Resource(type=resource.resource_type, props=resource.props) for resource in args.resources]
        for violation in rule.violations(stack, args.get_config()):
            report(violation, None)

    return validate
