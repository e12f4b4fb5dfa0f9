"""The API server of a cluster is not for everybody to try."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Setting, Settings

_EVERYWHERE = frozenset(("0.0.0.0/0", "::/0"))


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    if resource.type != "aws:eks/cluster:Cluster":
        return
    network = resource.props.get("vpcConfig") or {}
    if network.get("endpointPublicAccess") is False:
        return
    if settings["private"]:
        yield "its API server has a public address; set vpcConfig.endpointPublicAccess to false"
    elif _EVERYWHERE & set(network.get("publicAccessCidrs") or _EVERYWHERE):
        yield (
            "its API server is reached from everywhere; set vpcConfig.endpointPublicAccess to false, or list who may "
            "connect in publicAccessCidrs"
        )


RULE = ObjectRule(
    name="aws-eks-endpoint",
    description="The API server of a cluster is private, or reached from listed addresses.",
    package="aws",
    own_settings=(
        Setting(
            name="private",
            meaning="Whether a public address is refused even for listed addresses.",
            default=False,
            type={"type": "boolean"},
        ),
    ),
    judge=_judge,
)
