"""A node's own credentials are not for its pods: the metadata service asks for a session, one hop away at most."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings

_MACHINES = frozenset(("aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/instance:Instance"))


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type not in _MACHINES:
        return
    options = resource.props.get("metadataOptions") or {}
    if options.get("httpEndpoint") == "disabled":
        return
    if options.get("httpTokens") != "required":
        yield "a forged request from a pod can read the node's credentials; set metadataOptions.httpTokens to required"
    hops = options.get("httpPutResponseHopLimit")
    if hops is not None and hops > 1:
        yield (
            f"metadataOptions.httpPutResponseHopLimit = {hops:g} lets pods read the node's credentials, must be 1; use "
            "pod identity"
        )


RULE = ObjectRule(
    name="aws-instance-metadata",
    description="Nodes keep their credentials from pods.",
    package="aws",
    judge=_judge,
)
