"""What was done to a cluster can be read afterwards."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings

_NEEDED = ("api", "audit", "authenticator")


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type != "aws:eks/cluster:Cluster":
        return
    missing = [kind for kind in _NEEDED if kind not in (resource.props.get("enabledClusterLogTypes") or ())]
    if missing:
        yield f"who did what is not recorded; add {', '.join(missing)} to enabledClusterLogTypes"


RULE = ObjectRule(
    name="aws-eks-logs",
    description="A cluster's control plane writes its api, audit and authenticator logs.",
    package="aws",
    judge=_judge,
)
