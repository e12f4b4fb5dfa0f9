"""Records, and certificates that records prove."""

from typing import Any, Final

from stand_in_aws.clients import client
from stand_in_aws.kind import Kind, Props, found, tag_list, words


def _record(props: Props) -> dict[str, Any]:
    record: dict[str, Any] = {"Name": props["name"], "Type": props["type"]}
    if aliases := props.get("aliases"):
        alias = aliases[0]
        record["AliasTarget"] = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    else:
        record |= {"TTL": props["ttl"], "ResourceRecords": [{"Value": value} for value in props["records"]]}
    return record


def _change(action: str, props: Props) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": _record(props)}]}
    client("route53").change_resource_record_sets(HostedZoneId=props["zoneId"], ChangeBatch=batch)


def _create(props: Props) -> tuple[str, Props]:
    _change("UPSERT" if props.get("allowOverwrite") else "CREATE", props)
    return f"{props['zoneId']}_{props['name']}_{props['type']}", {"fqdn": props["name"]}


def _read(_: str, state: Props) -> Props | None:
    listed = found(lambda: client("route53").list_resource_record_sets(HostedZoneId=state["zoneId"]))
    names = {(each["Name"].rstrip("."), each["Type"]) for each in (listed or {}).get("ResourceRecordSets", ())}
    return {} if (state["name"].rstrip("."), state["type"]) in names else None


RECORD: Final = Kind(
    token="aws:route53/record:Record",
    takes=words("zoneId name type aliases records ttl allowOverwrite"),
    required=words("zoneId name type"),
    replaces=words("zoneId name type"),
    create=_create,
    read=_read,
    update=lambda _, __, new: _change("UPSERT", new),
    delete=lambda _, state: _change("DELETE", state),
)


def _request(props: Props) -> tuple[str, Props]:
    made = client("acm").request_certificate(
        DomainName=props["domainName"], ValidationMethod=props["validationMethod"], Tags=tag_list(props)
    )["CertificateArn"]
    return made, {"arn": made}


def _read_certificate(made: str, _: Props) -> Props | None:
    seen = found(lambda: client("acm").describe_certificate(CertificateArn=made))
    if seen is None:
        return None
    options = [
        {
            "domainName": each["DomainName"],
            "resourceRecordName": each["ResourceRecord"]["Name"],
            "resourceRecordType": each["ResourceRecord"]["Type"],
            "resourceRecordValue": each["ResourceRecord"]["Value"],
        }
        for each in seen["Certificate"]["DomainValidationOptions"]
    ]
    return {"domainValidationOptions": options}


CERTIFICATE: Final = Kind(
    token="aws:acm/certificate:Certificate",
    takes=words("domainName validationMethod tags"),
    required=words("domainName validationMethod"),
    create=_request,
    read=_read_certificate,
    delete=lambda made, _: client("acm").delete_certificate(CertificateArn=made),
)
PROVEN: Final = Kind(
    token="aws:acm/certificateValidation:CertificateValidation",
    takes=words("certificateArn validationRecordFqdns"),
    required=words("certificateArn"),
    create=lambda props: (props["certificateArn"], {}),  # nothing is made: the real provider waits here
    read=_read_certificate,
    delete=lambda _, __: None,
)

KINDS: Final = (RECORD, CERTIFICATE, PROVEN)
