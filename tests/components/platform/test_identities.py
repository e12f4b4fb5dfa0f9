"""The programs' certificates: who proves what to whom, and when they are renewed."""

import ssl
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from stand_ins import DELIVERY

from headrace.components import ServingPlatform
from headrace.components.platform.certificate import AUTHORITY_LIFE
from headrace.components.platform.identities import _Issuer, issued
from headrace.components.testing import record
from headrace.contract import names

NOW = datetime.now(UTC)
USAGE = {
    names.ROUTING: ExtendedKeyUsageOID.SERVER_AUTH,
    names.POP_PROXY: ExtendedKeyUsageOID.CLIENT_AUTH,
    names.LOAD_BALANCER: ExtendedKeyUsageOID.CLIENT_AUTH,
}


@pytest.mark.parametrize("program", USAGE)
def test_a_certificate_has_its_programs_name_and_is_good_for_one_side_alone(program: str) -> None:
    made = issued(NOW)
    certificate = x509.load_pem_x509_certificate(made["pairs"][program]["certificate"].encode())
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert program in named.get_values_for_type(x509.DNSName)
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [USAGE[program]]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made["authority"].encode()))


def test_nothing_is_renewed_but_in_the_last_third_of_its_life() -> None:
    young, old = (issued(NOW - AUTHORITY_LIFE * share) for share in (0.6, 0.7))
    assert not _Issuer().diff("identities", young, {}).changes
    assert _Issuer().diff("identities", old, {}).changes


def test_who_has_the_new_certificates_still_trusts_who_has_not() -> None:
    before = issued(NOW - AUTHORITY_LIFE * 0.7)
    after = _Issuer().update("identities", before, {}).outs
    trusted = ssl.create_default_context(cadata=after["trusted"])
    assert len(trusted.get_ca_certs()) == 2
    again = _Issuer().update("identities", after, {}).outs
    assert len(ssl.create_default_context(cadata=again["trusted"]).get_ca_certs()) == 2, "the first is forgotten"


def test_each_program_gets_its_own_key_as_a_secret_and_a_proxy_waits_for_it() -> None:
    args: Any = {"image_delivery": DELIVERY, "host": "serving.example.com"}
    recording = record(lambda: ServingPlatform("platform", args))
    for program in USAGE:
        secret = recording.named(f"platform-routing-{program}-identity")
        assert secret.inputs["metadata"]["name"] == f"{program}-identity"
        assert secret.inputs["stringData"]["tls.key"] == f"{program} key"
        pod = recording.named(f"platform-{program}-deployment").inputs["spec"]["template"]["spec"]
        mounted = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        assert f"{program}-identity" in mounted
        assert mounted <= {f"{program}-identity", "pop-proxy-tls"}
        waits = "platform-routing-deployment" if program == names.ROUTING else f"platform-{program}"
        assert secret.urn in recording.named(waits).depends_on
