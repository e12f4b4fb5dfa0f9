"""What pods may be, whoever makes them."""

from rules.pods import account, api_token, bounds, digest, plain_secret, probes, read_only_root, registry, restricted

RULES = (
    digest.RULE,
    registry.RULE,
    restricted.RULE,
    read_only_root.RULE,
    api_token.RULE,
    account.RULE,
    bounds.RULE,
    probes.RULE,
    plain_secret.RULE,
)
