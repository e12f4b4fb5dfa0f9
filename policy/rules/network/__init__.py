"""Who may reach whom, and what is open to the world."""

from rules.network import default_deny, egress, exposure, ingress, tls

RULES = (default_deny.RULE, ingress.RULE, egress.RULE, exposure.RULE, tls.RULE)
