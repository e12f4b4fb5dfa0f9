"""The stand-in for AWS asks nobody but this machine, and says where its knowledge ends."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from stand_in_aws.clients import ADDRESS_VARIABLE, NotLoopback, address
from stand_in_aws.gaps import Gaps
from stand_in_aws.provider import KINDS, Provider


@pytest.mark.parametrize(
    "elsewhere", ["", "https://eks.eu-west-1.amazonaws.com", "http://10.0.0.1:5000", "http://localhost.example:1"]
)
def test_an_address_that_is_not_of_the_loopback_is_refused(elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, elsewhere)

    with pytest.raises(NotLoopback, match="must be an address of the loopback"):
        address()


class Aborted(Exception):
    """What ends a call of gRPC."""


class Context:
    def abort(self, _: Any, reason: str) -> None:
        raise Aborted(reason)


def checked(token: str, **inputs: Any) -> Any:
    news = ParseDict(inputs, Struct())
    request = SimpleNamespace(urn=f"urn:pulumi:dev::p::{token}::thing", news=news, olds=Struct(), randomSeed=b"")
    return Provider().Check(request, Context())


def test_a_type_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(Aborted, match=r"does not know resources of type aws:rds/instance:Instance"):
        checked("aws:rds/instance:Instance")


def test_an_input_that_no_call_uses_is_refused_and_so_is_one_that_is_missing() -> None:
    answer = checked("aws:ec2/subnet:Subnet", cidrBlock="10.0.0.0/24", ipv6Native=True)

    assert [failure.property for failure in answer.failures] == ["ipv6Native", "vpcId"]


def test_a_name_is_made_up_as_the_real_provider_does() -> None:
    first, second = (checked("aws:iam/role:Role", assumeRolePolicy="{}").inputs["name"] for _ in range(2))

    assert first == second
    assert first.startswith("thing-")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.token)
def test_what_is_required_replaces_or_is_named_is_taken(kind: Any) -> None:
    assert kind.required <= kind.takes
    assert kind.replaces <= kind.takes
    assert not kind.named or kind.named in kind.takes


def test_a_quota_that_nobody_set_is_wide() -> None:
    gaps = Gaps(lambda *_: [b"moto"], quotas={"L-1": 8})

    def asked(code: str) -> Any:
        body = json.dumps({"ServiceCode": "ec2", "QuotaCode": code}).encode()
        environ = {
            "HTTP_X_AMZ_TARGET": "ServiceQuotasV20190624.GetServiceQuota",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "PATH_INFO": "/",
        }
        (answer,) = gaps(environ, lambda *_: None)
        return json.loads(answer)["Quota"]["Value"]

    assert (asked("L-1"), asked("L-2")) == (8, 1000)
