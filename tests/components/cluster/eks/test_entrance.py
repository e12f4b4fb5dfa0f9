"""EksEntrance: port 443 and nothing else, decrypted by nobody unless asked."""

from typing import Any

import pytest

from headrace.components import EksEntrance
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record

CLUSTER = {
    "vpc": "vpc-1",
    "public_subnets": ["subnet-1", "subnet-2"],
    "node_group": "nodes",
    "node_security_group": "sg-1",
}
ANSWERS = {
    "aws:acm/certificate:Certificate": {
        "domainValidationOptions": [
            {"resourceRecordName": "_x.example.com", "resourceRecordType": "CNAME", "resourceRecordValue": "_y"}
        ]
    }
}


def made(**args: Any) -> Recording:
    given = {"cluster": CLUSTER, "host": "models.example.com", "zone_id": "Z1", **args}
    return record(lambda: EksEntrance("models", given), answers=ANSWERS)  # type: ignore[arg-type]


def test_connections_are_passed_on_as_they_are() -> None:
    recording = made()

    (listener,) = recording.of_kind("Listener")
    assert (listener.inputs["port"], listener.inputs["protocol"]) == (443, "TCP")
    assert recording.of_kind("Certificate") == []
    (record_set,) = recording.of_kind("Record")
    assert record_set.inputs["name"] == "models.example.com"


def test_with_acm_the_certificate_is_proven_first_and_the_way_on_is_encrypted_too() -> None:
    recording = made(certificate="acm")

    (listener,), (targets,) = recording.of_kind("Listener"), recording.of_kind("TargetGroup")
    assert (listener.inputs["protocol"], targets.inputs["protocol"]) == ("TLS", "TLS")
    assert listener.inputs["alpnPolicy"] == "HTTP2Preferred"
    assert recording.waits_for("models-https", "models-certificate-proven")


def test_nodes_are_reached_on_one_port_and_from_the_balancer_alone() -> None:
    recording = made(node_port=31000, allowed_addresses=["192.0.2.0/24"])

    (group,), (rule,) = recording.of_kind("SecurityGroup"), recording.of_kind("SecurityGroupIngressRule")
    (opened,) = group.inputs["ingress"]
    assert (opened["fromPort"], opened["toPort"], opened["cidrBlocks"]) == (443, 443, ["192.0.2.0/24"])
    assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (31000, 31000)
    assert rule.inputs["securityGroupId"] == "sg-1"
    assert "cidrIpv4" not in rule.inputs


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"host": "https://models"}, "host = 'https://models', must be a DNS name"),
        ({"zone_id": ""}, "zone_id is missing"),
        ({"certificate": "own"}, "certificate = 'own', must be one of platform, acm"),
        ({"node_port": 443}, "node_port = 443, must be between 30000 and 32767"),
        ({"allowed_addresses": ["office"]}, "allowed_addresses has 'office'"),
    ],
)
def test_bad_inputs_are_explained(args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArgsError, match=sentence):
        made(**args)
