"""Secrets are not plain values of a pod: whoever may read pods, a stack's state or a preview would read them."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from rules.pods.pod_specs import pods
from rules.rule import ObjectRule, Resource, Settings

_SECRET_WORDS = frozenset(
    ("PASSWORD", "PASSWD", "PASSPHRASE", "PWD", "SECRET", "TOKEN", "CREDENTIAL", "CREDENTIALS", "APIKEY", "PAT")
)
_KINDS_OF_KEY = frozenset(("API", "ACCESS", "SECRET", "PRIVATE", "ENCRYPTION", "SIGNING", "AUTH", "MASTER", "SERVICE"))
_ABOUT_ONE = frozenset(
    (
        *("ID", "FILE", "PATH", "DIR", "NAME", "URL", "URI", "HOST", "PORT", "LIMIT", "TTL", "TYPE", "VERSION", "ARN"),
        *("ENABLED", "COUNT", "SECONDS", "EXPIRY", "HEADER", "REGION", "LENGTH", "ALGORITHM", "ISSUER", "AUDIENCE"),
    )
)
"""Last words of names of what is said about a secret and is none."""
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(sk|pk|rk)[-_](live|test|proj|ant|svcacct|or)?[-_]?[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic, Stripe
    r"|\b(AKIA|ASIA)[0-9A-Z]{16}\b"  # Amazon
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_\w{40,}|\bglpat-[\w-]{20,}"
    r"|\bdapi[0-9a-f]{32}|\bhf_[A-Za-z0-9]{30,}|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{35}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+"  # a JSON Web Token
    r"|://[^/\s:@]+:[^/\s@]+@"  # a password in an address
)
_NO_SECRET = re.compile(r"|true|false|yes|no|on|off|none|null|[0-9.]+|/[\w./-]*", re.IGNORECASE)
"""Whole values that are switches, numbers and paths, whatever the variable's name is."""


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for pod in pods(resource):
        for container in pod.containers:
            for entry in container.get("env") or ():
                if _looks_secret(entry):
                    yield f"environment[{entry.get('name')}] is a plain value; use a secret"


def _looks_secret(entry: Mapping[str, Any]) -> bool:
    value = entry.get("value")
    if not isinstance(value, str):
        return False
    return _SECRET_VALUE.search(value) is not None or (
        _NO_SECRET.fullmatch(value) is None and _names_a_secret(str(entry.get("name") or ""))
    )


def _names_a_secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper().replace("-", "_").replace(".", "_").split("_")
    if words[-1] in _ABOUT_ONE:
        return False
    keys = any(pair[1] == "KEY" and pair[0] in _KINDS_OF_KEY for pair in pairwise(words))
    return keys or bool(_SECRET_WORDS & set(words))


RULE = ObjectRule(
    name="kubernetes-container-plain-secret",
    description="Variables of containers that look like secrets come from Secrets.",
    judge=_judge,
)
