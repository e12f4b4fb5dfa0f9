"""What must hold, one rule a module. Plain functions: they run without Pulumi and are tested so."""

from rules import bounds, egress, environment, images, isolation, namespaces, replicas, security

RULES = (
    images.RULE,
    security.RULE,
    bounds.RULE,
    replicas.RULE,
    namespaces.RULE,
    isolation.RULE,
    egress.RULE,
    environment.RULE,
)
