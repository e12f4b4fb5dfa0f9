"""Clusters. Their API server is that of the kubeconfig that HEADRACE_STAND_IN_AWS_KUBECONFIG names, where it is set, so
that a program can go on to what it puts on its cluster."""

import os
from pathlib import Path
from typing import Any, Final

import yaml
from botocore.exceptions import ClientError

from stand_in_aws.clients import client
from stand_in_aws.kind import Kind, Props, found, given, words

KUBECONFIG_VARIABLE: Final = "HEADRACE_STAND_IN_AWS_KUBECONFIG"


def _eks() -> Any:
    return client("eks")


def _create(props: Props) -> tuple[str, Props]:
    network = props["vpcConfig"]
    access = props["accessConfig"]
    made = _eks().create_cluster(
        name=props["name"],
        roleArn=props["roleArn"],
        resourcesVpcConfig=given(
            network,
            subnetIds="subnetIds",
            endpointPrivateAccess="endpointPrivateAccess",
            endpointPublicAccess="endpointPublicAccess",
            publicAccessCidrs="publicAccessCidrs",
        ),
        accessConfig=given(
            access,
            authenticationMode="authenticationMode",
            bootstrapClusterCreatorAdminPermissions="bootstrapClusterCreatorAdminPermissions",
        ),
        logging={"clusterLogging": [{"types": props["enabledClusterLogTypes"], "enabled": True}]},
        encryptionConfig=[
            {
                "resources": props["encryptionConfig"]["resources"],
                "provider": {"keyArn": props["encryptionConfig"]["provider"]["keyArn"]},
            }
        ],
        upgradePolicy={"supportType": props["upgradePolicy"]["supportType"]},
        **given(
            props,
            version="version",
            bootstrapSelfManagedAddons="bootstrapSelfManagedAddons",
            deletionProtection="deletionProtection",
            tags="tags",
        ),
    )["cluster"]
    subnet = client("ec2").describe_subnets(SubnetIds=network["subnetIds"][:1])["Subnets"][0]
    group = client("ec2").create_security_group(
        GroupName=f"eks-cluster-sg-{props['name']}", Description="EKS created security group", VpcId=subnet["VpcId"]
    )["GroupId"]  # EKS makes it, moto does not
    return props["name"], {"arn": made["arn"], "vpcConfig": {**network, "clusterSecurityGroupId": group}}


def _api_server(seen: dict[str, Any]) -> tuple[str, str]:
    """Address and authority: those of the kubeconfig that stands for EKS' own."""
    if path := os.environ.get(KUBECONFIG_VARIABLE):
        known = yaml.safe_load(Path(path).read_text())["clusters"][0]["cluster"]
        return known["server"], known["certificate-authority-data"]
    return seen["endpoint"], seen["certificateAuthority"]["data"]


def _read(made: str, _: Props) -> Props | None:
    answer = found(lambda: _eks().describe_cluster(name=made))
    if answer is None:
        return None
    server, authority = _api_server(answer["cluster"])
    return {
        "endpoint": server,
        "certificateAuthority": {"data": authority},
        "version": answer["cluster"]["version"],
        "status": answer["cluster"]["status"],
    }


def _update(made: str, old: Props, new: Props) -> None:
    if old.get("enabledClusterLogTypes") != new.get("enabledClusterLogTypes"):
        logging = {"clusterLogging": [{"types": new["enabledClusterLogTypes"], "enabled": True}]}
        _eks().update_cluster_config(name=made, logging=logging)
    if old.get("deletionProtection") != new.get("deletionProtection"):
        _eks().update_cluster_config(name=made, deletionProtection=new["deletionProtection"])
    network = given(
        new["vpcConfig"],
        endpointPublicAccess="endpointPublicAccess",
        endpointPrivateAccess="endpointPrivateAccess",
        publicAccessCidrs="publicAccessCidrs",
    )
    _eks().update_cluster_config(name=made, resourcesVpcConfig=network)


def _delete(made: str, state: Props) -> None:
    if state.get("deletionProtection"):  # moto knows none
        said = {"Code": "InvalidRequestException", "Message": f"cluster {made} is protected; disable that first"}
        raise ClientError({"Error": said}, "DeleteCluster")
    _eks().delete_cluster(name=made)
    client("ec2").delete_security_group(GroupId=state["vpcConfig"]["clusterSecurityGroupId"])


CLUSTER: Final = Kind(
    token="aws:eks/cluster:Cluster",
    takes=words(
        "name version roleArn accessConfig bootstrapSelfManagedAddons deletionProtection enabledClusterLogTypes "
        "encryptionConfig upgradePolicy vpcConfig tags"
    ),
    required=words("roleArn vpcConfig"),
    replaces=words("name roleArn encryptionConfig bootstrapSelfManagedAddons"),
    named="name",
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
)


def _create_addon(props: Props) -> tuple[str, Props]:
    identities = [
        {"serviceAccount": each["serviceAccount"], "roleArn": each["roleArn"]}
        for each in props.get("podIdentityAssociations") or ()
    ]
    _eks().create_addon(
        clusterName=props["clusterName"],
        addonName=props["addonName"],
        resolveConflicts=props["resolveConflictsOnCreate"],
        **given(props, configurationValues="configurationValues", tags="tags"),
        **({"podIdentityAssociations": identities} if identities else {}),
    )
    return f"{props['clusterName']}:{props['addonName']}", {}


def _update_addon(_: str, __: Props, new: Props) -> None:
    _eks().update_addon(
        clusterName=new["clusterName"],
        addonName=new["addonName"],
        resolveConflicts=new["resolveConflictsOnUpdate"],
        **given(new, configurationValues="configurationValues"),
    )


def _read_addon(_: str, state: Props) -> Props | None:
    named = given(state, clusterName="clusterName", addonName="addonName")
    return None if found(lambda: _eks().describe_addon(**named)) is None else {}


ADDON: Final = Kind(
    token="aws:eks/addon:Addon",
    takes=words(
        "clusterName addonName configurationValues podIdentityAssociations resolveConflictsOnCreate "
        "resolveConflictsOnUpdate tags"
    ),
    required=words("clusterName addonName"),
    replaces=words("clusterName addonName"),
    create=_create_addon,
    read=_read_addon,
    update=_update_addon,
    delete=lambda _, state: _eks().delete_addon(**given(state, clusterName="clusterName", addonName="addonName")),
)


def _create_entry(props: Props) -> tuple[str, Props]:
    _eks().create_access_entry(
        **given(props, clusterName="clusterName", principalArn="principalArn", type="type", tags="tags")
    )
    return f"{props['clusterName']}:{props['principalArn']}", {}


def _entry(state: Props) -> dict[str, Any]:
    return given(state, clusterName="clusterName", principalArn="principalArn")


ACCESS_ENTRY: Final = Kind(
    token="aws:eks/accessEntry:AccessEntry",
    takes=words("clusterName principalArn type tags"),
    required=words("clusterName principalArn"),
    create=_create_entry,
    read=lambda _, state: None if found(lambda: _eks().describe_access_entry(**_entry(state))) is None else {},
    delete=lambda _, state: _eks().delete_access_entry(**_entry(state)),
)


def _associate(props: Props) -> tuple[str, Props]:
    _eks().associate_access_policy(**_entry(props), policyArn=props["policyArn"], accessScope=props["accessScope"])
    return f"{props['clusterName']}#{props['principalArn']}#{props['policyArn']}", {}


def _read_association(_: str, state: Props) -> Props | None:
    listed = found(lambda: _eks().list_associated_access_policies(**_entry(state)))
    held = [each["policyArn"] for each in (listed or {}).get("associatedAccessPolicies", ())]
    return {} if state["policyArn"] in held else None


ACCESS_POLICY_ASSOCIATION: Final = Kind(
    token="aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    takes=words("clusterName principalArn policyArn accessScope"),
    required=words("clusterName principalArn policyArn accessScope"),
    create=_associate,
    read=_read_association,
    delete=lambda _, state: _eks().disassociate_access_policy(**_entry(state), policyArn=state["policyArn"]),
)


def _create_identity(props: Props) -> tuple[str, Props]:
    made = _eks().create_pod_identity_association(
        **given(
            props,
            clusterName="clusterName",
            namespace="namespace",
            serviceAccount="serviceAccount",
            roleArn="roleArn",
            tags="tags",
        )
    )["association"]
    return made["associationId"], {"associationId": made["associationId"]}


def _identity(made: str, state: Props) -> dict[str, Any]:
    return {"clusterName": state["clusterName"], "associationId": made}


POD_IDENTITY_ASSOCIATION: Final = Kind(
    token="aws:eks/podIdentityAssociation:PodIdentityAssociation",
    takes=words("clusterName namespace serviceAccount roleArn tags"),
    required=words("clusterName namespace serviceAccount roleArn"),
    create=_create_identity,
    read=lambda made, state: (
        None if found(lambda: _eks().describe_pod_identity_association(**_identity(made, state))) is None else {}
    ),
    delete=lambda made, state: _eks().delete_pod_identity_association(**_identity(made, state)),
)


def _scaling(props: Props) -> dict[str, int]:
    return given(props["scalingConfig"], minSize="minSize", maxSize="maxSize", desiredSize="desiredSize")


def _create_group(props: Props) -> tuple[str, Props]:
    group, cluster = props["nodeGroupName"], props["clusterName"]
    _eks().create_nodegroup(
        clusterName=cluster,
        nodegroupName=group,
        nodeRole=props["nodeRoleArn"],
        subnets=props["subnetIds"],
        scalingConfig=_scaling(props),
        launchTemplate=given(props["launchTemplate"], id="id", version="version"),
        updateConfig=given(props["updateConfig"], maxUnavailable="maxUnavailable"),
        **given(props, amiType="amiType", capacityType="capacityType", instanceTypes="instanceTypes", tags="tags"),
    )
    _make_machines(props)
    return f"{cluster}:{group}", {}


def _make_machines(props: Props) -> None:
    """The autoscaling group, which EKS makes and moto's EKS only names."""
    made = _eks().describe_nodegroup(**_named(props))["nodegroup"]["resources"]["autoScalingGroups"][0]["name"]
    client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=made,
        MinSize=0,
        MaxSize=0,  # machines that nobody starts
        LaunchTemplate={"LaunchTemplateId": props["launchTemplate"]["id"]},
        VPCZoneIdentifier=",".join(props["subnetIds"]),
    )


def _delete_group(_: str, state: Props) -> None:
    for group in state["resources"][0]["autoscalingGroups"]:
        client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=group["name"], ForceDelete=True)
    _eks().delete_nodegroup(**_named(state))


def _named(state: Props) -> dict[str, Any]:
    return given(state, clusterName="clusterName", nodegroupName="nodeGroupName")


def _read_group(_: str, state: Props) -> Props | None:
    seen = found(lambda: _eks().describe_nodegroup(**_named(state)))
    if seen is None:
        return None
    groups = [{"name": each["name"]} for each in seen["nodegroup"]["resources"]["autoScalingGroups"]]
    return {"arn": seen["nodegroup"]["nodegroupArn"], "resources": [{"autoscalingGroups": groups}]}


def _update_group(_: str, __: Props, new: Props) -> None:
    _eks().update_nodegroup_config(**_named(new), scalingConfig=_scaling(new))


NODE_GROUP: Final = Kind(
    token="aws:eks/nodeGroup:NodeGroup",
    takes=words(
        "clusterName nodeGroupName nodeRoleArn subnetIds scalingConfig launchTemplate updateConfig amiType "
        "capacityType instanceTypes tags"
    ),
    required=words("clusterName nodeRoleArn subnetIds scalingConfig"),
    replaces=words("clusterName nodeGroupName nodeRoleArn subnetIds amiType capacityType instanceTypes"),
    named="nodeGroupName",
    create=_create_group,
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
)

KINDS: Final = (
    CLUSTER,
    ADDON,
    ACCESS_ENTRY,
    ACCESS_POLICY_ASSOCIATION,
    POD_IDENTITY_ASSOCIATION,
    NODE_GROUP,
)
