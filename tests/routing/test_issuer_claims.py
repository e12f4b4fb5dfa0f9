"""Tokens of several issuers through the real PopProxy: who their callers are, and that none is taken for another's."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from headrace.contract import console
from headrace.contract.limits import Limits
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.routing.snapshot import Keys, KnownIssuer

pytestmark = pytest.mark.slow
CORP, PARTNER = "https://login.corp.test", "https://partner.test/realms/ops"
INVOKE = "/serving-endpoints/{}/invocations"
ENDPOINTS = ("open", "bobs", "corps-bobs", "partners-bobs", "team")
STRANGE = "Prüfung, 100% %2C 'team'"
"""A group's name with all that a list could be mistaken by."""


def known(trusted: TrustedIssuer, *signers: Any) -> KnownIssuer:
    keys = Keys.of(trusted.issuer, {"keys": [signer.jwk() for signer in signers]})
    return KnownIssuer(trusted=trusted, keys=keys)


@pytest.fixture(scope="module")
def corp(signer: Any) -> Any:
    return type(signer)(issuer=CORP)


@pytest.fixture(scope="module")
def partner(signer: Any) -> Any:
    return type(signer)(issuer=PARTNER)


TRUSTS_CORP = TrustedIssuer(issuer=CORP, groups_claim="groups")
TRUSTS_PARTNER = TrustedIssuer(
    issuer=PARTNER,
    audiences=("serving", "else"),
    prefix="partner:",
    subject_claim="user.name",
    groups_claim="realm.roles",
)


@pytest.fixture
def issuers(platform: Any, corp: Any, partner: Any, make_endpoint: Any) -> Iterator[Any]:
    """Three endpoints, and two issuers beside the cluster."""
    server = platform.server("fraud")
    platform.publish(
        make_endpoint("open"),
        make_endpoint("bobs", subjects=("bob",)),
        make_endpoint("corps-bobs", subjects=(f"{CORP}#bob",)),
        make_endpoint("partners-bobs", subjects=("partner:bob",)),
        make_endpoint("team", subjects=(f"{CORP}#jürgen",), groups=(f"{CORP}#{STRANGE}", "partner:risk")),
        pods={(name, "v1"): (server,) for name in ENDPOINTS},
        other_issuers=(known(TRUSTS_CORP, corp), known(TRUSTS_PARTNER, partner)),
    )
    platform.pod = server
    yield platform
    platform.publish_world(other_issuers=())


def of_partner(partner: Any, name: Any = "bob", *roles: str, **claims: Any) -> str:
    token: str = partner.token(aud="serving", user={"name": name}, realm={"roles": list(roles)}, **claims)
    return token


def statuses(platform: Any, token: str) -> dict[str, int]:
    return {name: platform.request(INVOKE.format(name), token=token).status for name in ENDPOINTS}


def let_in(platform: Any, token: str) -> set[str]:
    """Where a good token is let in; elsewhere it is known, and refused."""
    found = statuses(platform, token)
    assert set(found.values()) <= {200, 403}, found
    return {name for name, status in found.items() if status == 200}


def test_one_name_at_three_issuers_is_three_callers(issuers: Any, corp: Any, partner: Any, signer: Any) -> None:
    assert let_in(issuers, signer.token(sub="bob")) == {"open", "bobs"}
    assert let_in(issuers, corp.token(sub="bob")) == {"open", "corps-bobs"}
    assert let_in(issuers, of_partner(partner)) == {"open", "partners-bobs"}


def test_a_refused_caller_of_another_issuer_is_told_that_it_may_not(issuers: Any, corp: Any) -> None:
    answer = issuers.request(INVOKE.format("bobs"), token=corp.token(sub="bob"))
    assert (answer.status, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_a_pod_is_told_the_subject_with_its_issuer_and_no_group(issuers: Any, corp: Any) -> None:
    assert issuers.request(INVOKE.format("open"), token=corp.token(sub="bob", groups=["a"])).status == 200
    seen = issuers.pod.requests[-1].headers
    assert seen["x-headrace-subject"] == f"{CORP}#bob"
    assert {name for name in seen if name.startswith("x-headrace-")} == {
        "x-headrace-cluster", "x-headrace-endpoint", "x-headrace-subject", "x-headrace-timeout-ms"
    }  # fmt: skip
    assert "authorization" not in seen


WRONG: dict[str, Callable[[Any, Any, Any], str]] = {
    "another audience": lambda corp, partner, signer: corp.token(sub="bob", aud="serving"),
    "the cluster's audience at an issuer with its own": lambda corp, partner, signer: partner.token(),
    "the cluster's name, signed by another issuer": lambda corp, partner, signer: corp.token(iss=signer.issuer),
    "an issuer's name, signed by the cluster": lambda corp, partner, signer: signer.token(iss=CORP),
    "an issuer's name, signed by another": lambda corp, partner, signer: corp.token(iss=PARTNER, aud="serving"),
    "a key of nobody's": lambda corp, partner, signer: type(signer)(issuer=CORP).token(),
    "an unknown issuer": lambda corp, partner, signer: corp.token(iss=f"{CORP}/"),
    "no expiry": lambda corp, partner, signer: corp.token(exp=None),
    "expired": lambda corp, partner, signer: corp.token(iat=1, exp=2),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_token_of_any_issuer_is_401(issuers: Any, corp: Any, partner: Any, signer: Any, case: str) -> None:
    token = WRONG[case](corp, partner, signer)
    for name in ("open", "bobs", "corps-bobs"):
        answer = issuers.request(INVOKE.format(name), token=token)
        assert (answer.status, answer.json()["error_code"]) == (401, "UNAUTHENTICATED"), answer.body
        assert "Jwt" in answer.json()["message"]
    assert not issuers.pod.requests


def test_members_of_a_listed_group_are_let_in(issuers: Any, corp: Any, partner: Any) -> None:
    assert let_in(issuers, corp.token(groups=["x", STRANGE])) == {"open", "team"}
    assert let_in(issuers, corp.token(groups=STRANGE)) == {"open", "team"}, "one group may be a text"
    assert let_in(issuers, of_partner(partner, "eve", "risk")) == {"open", "team"}


@pytest.mark.parametrize(
    "groups", [["risk"], [f"{STRANGE} x"], [f"x,{STRANGE}"], [f"{CORP}#{STRANGE}"], [[STRANGE]], [7, None], 7, {}, None]
)
def test_who_is_in_another_group_or_in_none_is_not_let_in(issuers: Any, corp: Any, groups: Any) -> None:
    assert let_in(issuers, corp.token(groups=groups)) == {"open"}


def test_a_group_of_one_issuer_is_none_of_another(issuers: Any, partner: Any) -> None:
    assert let_in(issuers, of_partner(partner, "eve", STRANGE, f"{CORP}#{STRANGE}")) == {"open"}


def test_groups_beyond_what_a_header_holds_do_not_count(issuers: Any, corp: Any) -> None:
    """A token of that size is no more than a request's headers may be; with its prefixes the list would be more."""
    many = [f"g{number}" for number in range(400)]
    assert let_in(issuers, corp.token(groups=[STRANGE, *many])) == {"open", "team"}
    assert let_in(issuers, corp.token(groups=[*many, STRANGE])) == {"open"}


def test_a_group_of_the_clusters_tokens_counts_for_nothing(issuers: Any, signer: Any) -> None:
    assert let_in(issuers, signer.token(groups=[f"{CORP}#{STRANGE}", "partner:risk"])) == {"open"}


NO_NAMES: tuple[Any, ...] = (
    "bob\r\nx-headrace-subject: bob", "bob\n", "bob\x00", " bob", "bob ", "", 7, ["bob"], None, {"a": "bob"}
)  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES)
def test_who_has_no_name_is_let_in_nowhere(issuers: Any, corp: Any, partner: Any, name: Any) -> None:
    tokens = [of_partner(partner, name)]
    if name is None or isinstance(name, str):
        tokens.append(corp.token(sub=name, groups=[name]))
    for token in tokens:
        assert set(statuses(issuers, token).values()) == {403}
        assert issuers.request("/api/2.0/serving-endpoints", method="GET", token=token, body=None).status == 403
    assert not issuers.pod.requests


def test_a_subject_that_is_no_text_makes_no_token(issuers: Any, corp: Any) -> None:
    for name in (7, ["bob"], {"a": "bob"}):
        assert issuers.request(INVOKE.format("open"), token=corp.token(sub=name)).status == 401


def test_no_header_of_a_clients_says_who_it_is(issuers: Any, corp: Any, signer: Any) -> None:
    claimed = {
        "x-headrace-subject": "bob",
        "x-headrace-groups": ",partner:risk,",
        "x-headrace-issuer": CORP,
        "x-headrace-token": CORP,
    }
    for token, own in ((corp.token(), f"{CORP}#alice"), (signer.token(), "alice")):
        for name in ("bobs", "team"):
            assert issuers.request(INVOKE.format(name), token=token, headers=claimed).status == 403
        assert issuers.request(INVOKE.format("open"), token=token, headers=claimed).status == 200
        seen = issuers.pod.requests[-1].headers
        assert seen["x-headrace-subject"] == own
        assert not {"x-headrace-groups", "x-headrace-issuer", "x-headrace-token"} & seen.keys()
    assert issuers.request(INVOKE.format("open"), token="", headers=claimed).status == 401


def test_who_may_call_is_told_of_the_endpoint_and_nobody_else(
    issuers: Any, management: Any, objects_of: Any, corp: Any, partner: Any
) -> None:
    """The management API decides as the proxy does, by the same two headers."""
    management.items = [objects_of(endpoint) for endpoint in issuers.world.endpoints]
    tokens = (
        issuers.signer.token(sub="bob"),
        *(corp.token(sub=name) for name in ("bob", "jürgen")),
        *(corp.token(groups=groups) for groups in ([STRANGE, "x"], ["x"])),
        *(of_partner(partner, name, *roles) for name, roles in (("bob", ()), ("eve", ("risk", "y")), ("eve", ()))),
    )
    for token in tokens:
        answer = issuers.request("/api/2.0/serving-endpoints", method="GET", token=token, body=None)
        assert {each["name"] for each in answer.json()["endpoints"]} == let_in(issuers, token)
    assert {frozenset(let_in(issuers, token)) for token in tokens} > {frozenset({"open", "team"}), frozenset({"open"})}


def test_a_browser_may_show_the_token_of_any_issuer(issuers: Any, corp: Any, partner: Any) -> None:
    """Nobody answers at the console here: what matters is whether the proxy would have asked."""
    for token in (corp.token(), of_partner(partner)):
        sent = {"cookie": f"{console.COOKIE}={token}"}
        assert issuers.request("/console/", method="GET", token="", headers=sent, body=None).status == 503
        assert issuers.request(INVOKE.format("open"), token="", headers=sent).status == 401
    sent = {"cookie": f"{console.COOKIE}={corp.token(aud='else')}"}
    answer = issuers.request("/console/", method="GET", token="", headers=sent, body=None)
    assert (answer.status, answer.headers["location"]) == (303, console.LOGIN_PATH)


def test_each_caller_has_a_count_of_its_own(issuers: Any, make_endpoint: Any, corp: Any, signer: Any) -> None:
    limited = make_endpoint("open")
    spec = replace(limited.spec, limits=Limits(caller_requests_per_minute=1))
    pods = {("open", "v1"): (issuers.pod,)}
    issuers.publish(replace(limited, spec=spec), pods=pods)
    for token in (corp.token(sub="bob"), signer.token(sub="bob")):
        found = [issuers.request(INVOKE.format("open"), token=token).status for _ in range(2)]
        assert found == [200, 429]


def test_an_issuer_that_is_called_as_the_cluster_is_left_out(issuers: Any, corp: Any, signer: Any) -> None:
    twin = TrustedIssuer(issuer=signer.issuer, prefix="twin:")
    impostor = type(signer)(issuer=signer.issuer)
    issuers.publish_world(other_issuers=(known(twin, impostor), known(TRUSTS_CORP, corp)))
    assert issuers.request(INVOKE.format("open"), token=impostor.token()).status == 401
    assert let_in(issuers, signer.token(sub="bob")) == {"open", "bobs"}
    assert let_in(issuers, corp.token(sub="bob")) == {"open", "corps-bobs"}


def test_rotated_keys_of_one_issuer_leave_the_others_alone(issuers: Any, corp: Any, partner: Any, signer: Any) -> None:
    new = type(signer)(kid="two", issuer=CORP)
    assert statuses(issuers, new.token(sub="bob"))["corps-bobs"] == 401
    issuers.publish_world(other_issuers=(known(TRUSTS_CORP, corp, new), known(TRUSTS_PARTNER, partner)))
    assert let_in(issuers, new.token(sub="bob")) == let_in(issuers, corp.token(sub="bob")) == {"open", "corps-bobs"}
    issuers.publish_world(other_issuers=(known(TRUSTS_CORP, new), known(TRUSTS_PARTNER, partner)))
    assert let_in(issuers, new.token(sub="bob")) == {"open", "corps-bobs"}
    assert statuses(issuers, corp.token(sub="bob"))["corps-bobs"] == 401
    assert let_in(issuers, of_partner(partner)) == {"open", "partners-bobs"}
    assert let_in(issuers, signer.token(sub="bob")) == {"open", "bobs"}
