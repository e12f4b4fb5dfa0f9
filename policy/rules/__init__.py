"""What must hold, one rule a module. Plain functions: they run without Pulumi and are tested so."""

from rules import bounds, images, isolation, namespaces, replicas, security

RULES = (images.RULE, security.RULE, bounds.RULE, replicas.RULE, namespaces.RULE, isolation.RULE)
