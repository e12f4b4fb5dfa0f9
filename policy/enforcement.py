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
from rules.rule import ObjectRule, Resource, StackRule


def policy(rule: ObjectRule | StackRule) -> ResourceValidationPolicy | StackValidationPolicy:
    """The policy that reports what `rule` finds."""
    common: dict[str, Any] = {
        "name": rule.name,
        "description": rule.description,
        "enforcement_level": EnforcementLevel(rule.level.value),
        "config_schema": PolicyConfigSchema(properties={each.name: each.schema for each in rule.settings}),
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
    """A resource of either kind of policy; only one of a stack knows its dependencies."""
    return Resource(
        type=args.resource_type,
        props=args.props,
        name=args.name,
        urn=args.urn,
        is_protected=bool(args.opts.protect),
        depends_on=frozenset(each.urn for each in getattr(args, "dependencies", ())),
    )


def _resources(args: StackValidationArgs) -> list[Resource]:
    return [_resource(resource) for resource in args.resources]
