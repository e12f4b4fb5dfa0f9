"""Clients of a public platform need not be given a private authority's certificate."""

from collections.abc import Iterator

from rules.rule import Level, ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind == "PopProxy" and not resource.props.get("tls_secret"):
        yield (
            "its certificate is of a private authority, which no client trusts by itself; set the platform's input "
            "tls_secret to a Secret of cert-manager, for example"
        )


RULE = ObjectRule(
    name="headrace-platform-certificate",
    description="The PopProxy has a certificate that clients trust.",
    package="headrace",
    level=Level.ADVISORY,
    judge=_judge,
)
