"""A password in a pod's template is in the state, in every preview and readable by whoever may list pods."""

import re
from collections.abc import Iterator

from rules.pods.pod_specs import pods
from rules.rule import ObjectRule, Resource, Settings

_SECRET = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|PWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|(?:API|ACCESS|PRIVATE)_?KEY)(?:$|_)"
)
_LEADS_TO_ONE = re.compile(r"_(?:FILE|PATH|DIR|NAME|URL|URI|ARN|TTL|SECONDS|LIMIT|LENGTH)$")
"""Ends of names whose value says where a secret is or how long it lasts: WEB_IDENTITY_TOKEN_FILE, MAX_TOKEN_LIMIT."""
_WITH_PASSWORD = re.compile(r"^[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@")


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for pod in pods(resource):
        for container in pod.containers:
            for variable in container.get("env") or ():
                name, value = str(variable.get("name") or ""), variable.get("value")
                if isinstance(value, str) and value and _is_secret(name, value):
                    yield (
                        f"container {container.get('name')} has {name} in the clear; put the value into a Secret and "
                        "refer to it with valueFrom.secretKeyRef"
                    )


def _is_secret(name: str, value: str) -> bool:
    upper = name.upper()
    named_so = _SECRET.search(upper) is not None and _LEADS_TO_ONE.search(upper) is None
    return named_so or _WITH_PASSWORD.match(value) is not None


RULE = ObjectRule(
    name="kubernetes-container-plain-secret",
    description="Containers get passwords and tokens from Secrets.",
    judge=_judge,
)
