"""Issuers beside the cluster: one line each is enough, and what could mix up two of them is refused."""

from typing import Any

import pytest

from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.contract.trusted_issuers import (
    AUTHORITIES_MOST_BYTES,
    ISSUERS_MOST,
    checked_issuers,
    issuers_of,
    issuers_text,
    keys_port,
)

CORP: dict[str, Any] = {"issuer": "https://login.corp.test"}


def faults(*issuers: Any) -> list[str]:
    return checked_issuers({"token_issuers": list(issuers)})[1]


def test_one_line_an_issuer_is_enough() -> None:
    [corp, partner], broken = checked_issuers({"token_issuers": [CORP, {"issuer": "https://partner.test:8443/realm/"}]})

    assert broken == []
    assert (corp.audiences, corp.full_prefix, corp.subject_claim) == (("headrace",), "https://login.corp.test#", "sub")
    assert corp.groups_claim is None
    assert corp.discovery_address == "https://login.corp.test/.well-known/openid-configuration"
    assert partner.discovery_address == "https://partner.test:8443/realm/.well-known/openid-configuration"
    assert (keys_port(corp), keys_port(partner)) == (443, 8443)


def test_the_port_is_that_of_the_keys_where_they_have_an_address_of_their_own() -> None:
    issuer = TrustedIssuer(issuer="https://login.corp.test", jwks_uri="https://keys.corp.test:9443/jwks?v=1")
    assert keys_port(issuer) == 9443


def test_what_the_control_plane_reads_is_what_was_written() -> None:
    issuers, _ = checked_issuers(
        {"token_issuers": [CORP, {"issuer": "https://b.test", "prefix": "b:", "audiences": ["x"], "groups_claim": "g"}]}
    )

    assert issuers_of(issuers_text(issuers)) == (issuers, [])
    assert issuers_of("") == ((), [])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"issuer": ""}, ["token_issuers[0].issuer is empty"]),
        ({"issuer": "http://login.corp.test"}, ["must be an https:// address"]),
        ({"issuer": "login.corp.test"}, ["must be an https:// address"]),
        ({"issuer": "https://"}, ["must be an https:// address"]),
        ({"issuer": "https://[::1"}, ["must be an https:// address"]),
        ({"issuer": "https://corp.test:port"}, ["must be an https:// address"]),
        ({"issuer": "https://user:secret@corp.test"}, ["must be an https:// address"]),
        ({"issuer": "https://corp.test?a=b"}, ["must be an https:// address"]),
        ({"issuer": "https://corp.test#a"}, ["must be an https:// address"]),
        ({"issuer": "https://corp.test/a b"}, ["must be an https:// address"]),
        ({"jwks_uri": "http://corp.test/jwks"}, ["token_issuers[0].jwks_uri = 'http://corp.test/jwks', must be"]),
        ({"audiences": []}, ["token_issuers[0].audiences has 0 items, must have at least 1"]),
        ({"audiences": ["headrace", ""]}, ["token_issuers[0].audiences[1] is empty"]),
        ({"prefix": ""}, ["token_issuers[0].prefix = '', must be 1 to 256 printable"]),
        ({"prefix": "a b"}, ["token_issuers[0].prefix = 'a b', must be 1 to 256 printable"]),
        ({"prefix": "system:"}, ["must not be taken for 'system:'"]),
        ({"prefix": "system:serviceaccount:"}, ["must not be taken for 'system:'"]),
        ({"prefix": "sys"}, ["must not be taken for 'system:'"]),
        ({"subject_claim": ""}, ["token_issuers[0].subject_claim = '', must be a claim's name"]),
        ({"groups_claim": "\n"}, ["token_issuers[0].groups_claim = '\\n', must be a claim's name"]),
        ({"ca_certificate": "not PEM"}, ["token_issuers[0].ca_certificate holds no certificate"]),
        ({"ca_certificate": "x" * (AUTHORITIES_MOST_BYTES + 1)}, ["must have at most 32768", "holds no certificate"]),
        ({"audience": "x"}, ["audience"]),
    ],
)
def test_a_fault_is_told_with_its_place_rule_and_remedy(changes: dict[str, Any], told: list[str]) -> None:
    found = faults({**CORP, **changes})

    assert len(found) == len(told), found
    for words, fault in zip(told, found, strict=True):
        assert words in fault


def test_http_is_for_the_loopback_alone() -> None:
    assert faults({"issuer": "http://127.0.0.1:8080", "jwks_uri": "http://localhost:8081/jwks"}) == []


def test_two_that_could_be_taken_for_each_other_are_refused() -> None:
    other = {"issuer": "https://b.test"}
    [twice] = faults(CORP, CORP)

    assert twice.startswith("token_issuers[1].issuer = 'https://login.corp.test' is that of token_issuers[0] too")
    for first, second in (("a:", "a:"), ("a:", "a:b:"), ("a:b:", "a:")):
        [fault] = faults({**CORP, "prefix": first}, {**other, "prefix": second})
        assert fault.startswith(f"token_issuers[1].prefix = {second!r} and that of token_issuers[0], {first!r}, begin")
    assert faults({**CORP, "prefix": "a:"}, {**other, "prefix": "b:"}) == []
    nested = {"issuer": f"{CORP['issuer']}/realm"}
    assert faults(CORP, nested, {"issuer": f"{CORP['issuer']}/"}) == [], "the '#' ends each default"


def test_all_faults_are_told_at_once() -> None:
    found = faults({"issuer": "http://a.test", "audiences": []}, {"issuer": "https://b.test", "prefix": "system:x"})
    assert len(found) == 3, found


def test_no_more_are_taken_than_a_token_is_held_against() -> None:
    [fault] = faults(*({"issuer": f"https://{number}.test"} for number in range(ISSUERS_MOST + 1)))
    assert fault == "token_issuers has 17 items, must have at most 16"


@pytest.mark.parametrize("given", [{"issuer": "https://a.test"}, "https://a.test", ["https://a.test"], [None]])
def test_what_is_no_list_of_issuers_is_told(given: Any) -> None:
    found = checked_issuers({"token_issuers": given})[1]
    assert found
    assert all(fault.startswith("token_issuers") for fault in found)


def test_a_variable_that_is_no_json_is_a_fault() -> None:
    assert issuers_of("{")[1][0].startswith("is no JSON")
