"""What must hold for the parts that all endpoints share."""

from rules.platform import certificate, copies, protection

RULES = (copies.RULE, certificate.RULE, protection.RULE)
