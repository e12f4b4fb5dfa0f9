"""Load balancers, their targets, and what puts a group of nodes among these."""

from typing import Any, Final

from stand_in_aws.clients import client
from stand_in_aws.kind import Kind, Props, found, given, pascal, tag_list, words


def _lb() -> Any:
    return client("elbv2")


def _protect(made: str, _: Props, new: Props) -> None:
    attributes = {
        "deletion_protection.enabled": new.get("enableDeletionProtection", False),
        "load_balancing.cross_zone.enabled": new.get("enableCrossZoneLoadBalancing", False),
    }
    _lb().modify_load_balancer_attributes(
        LoadBalancerArn=made,
        Attributes=[{"Key": key, "Value": str(value).lower()} for key, value in attributes.items()],
    )


def _create_balancer(props: Props) -> tuple[str, Props]:
    made = _lb().create_load_balancer(
        Name=props["name"],
        Type=props["loadBalancerType"],
        Scheme="internal" if props.get("internal") else "internet-facing",
        Tags=tag_list(props),
        **given(props, Subnets="subnets", SecurityGroups="securityGroups"),
    )["LoadBalancers"][0]
    _protect(made["LoadBalancerArn"], {}, props)
    return made["LoadBalancerArn"], {
        "arn": made["LoadBalancerArn"],
        "dnsName": made["DNSName"],
        "zoneId": made["CanonicalHostedZoneId"],
    }


def _read_balancer(made: str, _: Props) -> Props | None:
    return None if found(lambda: _lb().describe_load_balancers(LoadBalancerArns=[made])) is None else {}


BALANCER: Final = Kind(
    token="aws:lb/loadBalancer:LoadBalancer",
    takes=words(
        "name loadBalancerType internal subnets securityGroups enableCrossZoneLoadBalancing enableDeletionProtection "
        "tags"
    ),
    replaces=words("name loadBalancerType internal subnets securityGroups"),
    named="name",
    create=_create_balancer,
    read=_read_balancer,
    update=_protect,
    delete=lambda made, _: _lb().delete_load_balancer(LoadBalancerArn=made),
)


def _create_targets(props: Props) -> tuple[str, Props]:
    check = props["healthCheck"]
    made = _lb().create_target_group(
        Name=props["name"][-32:],
        Protocol=props["protocol"],
        Port=props["port"],
        VpcId=props["vpcId"],
        TargetType=props["targetType"],
        HealthCheckProtocol=check["protocol"],
        HealthCheckIntervalSeconds=check["interval"],
        HealthyThresholdCount=check["healthyThreshold"],
        UnhealthyThresholdCount=check["unhealthyThreshold"],
        Tags=tag_list(props),
    )["TargetGroups"][0]["TargetGroupArn"]
    _delay(made, {}, props)
    return made, {"arn": made}


def _delay(made: str, _: Props, new: Props) -> None:
    seconds = str(new["deregistrationDelay"])
    _lb().modify_target_group_attributes(
        TargetGroupArn=made, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": seconds}]
    )


def _read_targets(made: str, _: Props) -> Props | None:
    return None if found(lambda: _lb().describe_target_groups(TargetGroupArns=[made])) is None else {}


TARGET_GROUP: Final = Kind(
    token="aws:lb/targetGroup:TargetGroup",
    takes=words("name vpcId port protocol targetType deregistrationDelay healthCheck tags"),
    replaces=words("name vpcId port protocol targetType healthCheck"),
    named="name",
    create=_create_targets,
    read=_read_targets,
    update=_delay,
    delete=lambda made, _: _lb().delete_target_group(TargetGroupArn=made),
)


def _create_listener(props: Props) -> tuple[str, Props]:
    certificate, alpn = props.get("certificateArn"), props.get("alpnPolicy")
    made = _lb().create_listener(
        LoadBalancerArn=props["loadBalancerArn"],
        Port=props["port"],
        Protocol=props["protocol"],
        DefaultActions=pascal(props["defaultActions"]),
        Tags=tag_list(props),
        **({"Certificates": [{"CertificateArn": certificate}]} if certificate else {}),
        **({"AlpnPolicy": [alpn]} if alpn else {}),
        **given(props, SslPolicy="sslPolicy"),
    )["Listeners"][0]["ListenerArn"]
    return made, {"arn": made}


def _read_listener(made: str, _: Props) -> Props | None:
    return None if found(lambda: _lb().describe_listeners(ListenerArns=[made])) is None else {}


LISTENER: Final = Kind(
    token="aws:lb/listener:Listener",
    takes=words("loadBalancerArn port protocol certificateArn sslPolicy alpnPolicy defaultActions tags"),
    required=words("loadBalancerArn defaultActions"),
    create=_create_listener,
    read=_read_listener,
    delete=lambda made, _: _lb().delete_listener(ListenerArn=made),
)


def _attachment(state: Props) -> dict[str, Any]:
    return {
        "AutoScalingGroupName": state["autoscalingGroupName"],
        "TargetGroupARNs": [state["lbTargetGroupArn"]],
    }


def _attach(props: Props) -> tuple[str, Props]:
    client("autoscaling").attach_load_balancer_target_groups(**_attachment(props))
    return f"{props['autoscalingGroupName']}-{props['lbTargetGroupArn']}", {}


def _read_attachment(_: str, state: Props) -> Props | None:
    group = state["autoscalingGroupName"]
    groups = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    attached = groups[0].get("TargetGroupARNs", []) if groups else []
    return {} if state["lbTargetGroupArn"] in attached else None


ATTACHMENT: Final = Kind(
    token="aws:autoscaling/attachment:Attachment",
    takes=words("autoscalingGroupName lbTargetGroupArn"),
    required=words("autoscalingGroupName"),
    create=_attach,
    read=_read_attachment,
    delete=lambda _, state: client("autoscaling").detach_load_balancer_target_groups(**_attachment(state)),
)

KINDS: Final = (BALANCER, TARGET_GROUP, LISTENER, ATTACHMENT)
