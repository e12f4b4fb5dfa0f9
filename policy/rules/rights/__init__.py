"""What accounts may do at the API server."""

from rules.rights import admin, escalation, secrets, wildcards

RULES = (wildcards.RULE, admin.RULE, escalation.RULE, secrets.RULE)
