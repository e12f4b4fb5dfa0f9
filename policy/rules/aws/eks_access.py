"""Who may enter a cluster is in the program: access entries, and no administrator by accident."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type != "aws:eks/cluster:Cluster":
        return
    access = resource.props.get("accessConfig") or {}
    if access.get("authenticationMode") != "API":
        yield "rights also come from the aws-auth ConfigMap; set accessConfig.authenticationMode to API"
    if access.get("bootstrapClusterCreatorAdminPermissions") is not False:
        yield (
            "whoever creates it stays its administrator unseen; set "
            "accessConfig.bootstrapClusterCreatorAdminPermissions to false and give an access entry"
        )


RULE = ObjectRule(
    name="aws-eks-access",
    description="Access to a cluster is by access entries alone.",
    package="aws",
    judge=_judge,
)
