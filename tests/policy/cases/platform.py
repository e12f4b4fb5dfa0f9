"""A platform that one lost node stops, and resources that one mistake deletes."""

from typing import Any

from judging import COMPONENT_LABEL, Case, aws, kubernetes
from rules.platform import certificate, copies, protection
from rules.rule import Resource


def _proxies(component: str = "pop-proxy", **spec: Any) -> list[Resource]:
    return [kubernetes("apps/v1:Deployment", {"selector": {"matchLabels": {COMPONENT_LABEL: component}}, **spec})]


def _pop(**args: Any) -> list[Resource]:
    return [Resource(type="headrace:index:PopProxy", props=args, name="pop")]


_BUCKET = aws("s3/bucket:Bucket", "tables")

CASES = [
    Case(copies.RULE, _proxies(replicas=2)),
    Case(copies.RULE, _proxies("prometheus", replicas=1)),
    Case(copies.RULE, _proxies(replicas=1), "1 copies, must be at least 2"),
    Case(copies.RULE, _proxies("routing"), "1 copies, must be at least 2"),
    Case(copies.RULE, _proxies("load-balancer", replicas=2), "at least 3", {"fewest_copies": 3}),
    Case(certificate.RULE, _pop(tls_secret="public")),
    Case(certificate.RULE, _pop(), "PopProxy pop: its certificate is of a private authority"),
    Case(protection.RULE, [Resource(type=_BUCKET.type, props={}, name="tables", is_protected=True)]),
    Case(protection.RULE, [aws("iam/role:Role")]),
    Case(protection.RULE, [_BUCKET], "Bucket tables: deleting it loses models, tables and evidence"),
    Case(protection.RULE, [aws("kms/key:Key")], "protect=True"),
]
