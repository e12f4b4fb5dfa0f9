"""What must hold for an endpoint."""

from rules.endpoints import access, budget, ceiling, egress, evidence, namespace, pinned_model, quota, replicas

RULES = (
    replicas.RULE,
    namespace.RULE,
    access.RULE,
    egress.RULE,
    pinned_model.RULE,
    ceiling.RULE,
    budget.RULE,
    quota.RULE,
    evidence.RULE,
)
