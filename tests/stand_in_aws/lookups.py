"""What a program may ask of AWS without making anything."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from stand_in_aws.clients import client, region
from stand_in_aws.kind import Props


def _caller(_: Props) -> Props:
    seen = client("sts").get_caller_identity()
    return {"accountId": seen["Account"], "arn": seen["Arn"], "userId": seen["UserId"], "id": seen["Account"]}


def _session(args: Props) -> Props:
    """Of a session the role; whoever else it is, himself."""
    arn: str = args["arn"]
    issuer = arn
    if ":assumed-role/" in arn:
        account, name = arn.split(":")[4], arn.split("/")[1]
        issuer = f"arn:aws:iam::{account}:role/{name}"
    return {"arn": arn, "issuerArn": issuer, "id": arn}


def _filters(args: Props) -> list[dict[str, Any]]:
    return [{"Name": each["name"], "Values": each["values"]} for each in args.get("filters") or ()]


def _zones(args: Props) -> Props:
    seen = client("ec2").describe_availability_zones(Filters=_filters(args))["AvailabilityZones"]
    wanted = args.get("state", "available")
    return {"names": [each["ZoneName"] for each in seen if each["State"] == wanted], "id": "zones"}


def _offerings(args: Props) -> Props:
    seen = client("ec2").describe_instance_type_offerings(
        LocationType=args.get("locationType", "region"), Filters=_filters(args)
    )["InstanceTypeOfferings"]
    return {
        "instanceTypes": [each["InstanceType"] for each in seen],
        "locations": [each["Location"] for each in seen],
        "id": "offerings",
    }


def _quota(args: Props) -> Props:
    seen = client("service-quotas").get_service_quota(ServiceCode=args["serviceCode"], QuotaCode=args["quotaCode"])
    return {"quotaCode": args["quotaCode"], "value": seen["Quota"]["Value"], "id": args["quotaCode"]}


def _region(_: Props) -> Props:
    return {"region": region(), "name": region(), "id": region()}


LOOKUPS: Final[Mapping[str, Callable[[Props], Props]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getRegion:getRegion": _region,
    "aws:iam/getSessionContext:getSessionContext": _session,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _offerings,
    "aws:servicequotas/getServiceQuota:getServiceQuota": _quota,
}
