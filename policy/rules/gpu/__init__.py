"""What must hold for nodes with accelerators, made by Karpenter."""

from rules.gpu import bounded, tainted

RULES = (bounded.RULE, tainted.RULE)
