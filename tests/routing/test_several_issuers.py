"""Two issuers on the loopback, beside the cluster: the whole control plane reads them, and the real PopProxy goes by
what it has read. One of them is away, says nonsense or changes its keys, and nobody else notices."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from issuer_server import IssuerServer
from patience import eventually

from headrace.contract import names
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.routing.ads.issuer_keys import FIRST_TRIES
from headrace.routing.ads.kubernetes_api import BALANCER_SLICES, ENDPOINT_SLICES, MODEL_ENDPOINTS
from headrace.routing.ads.loop import ControlLoop

pytestmark = pytest.mark.slow
KEYS = "/jwks"


@dataclass
class Ruled:
    """The platform with a control plane that watches objects and asks issuers."""

    platform: Any
    control_loop: ControlLoop
    corp: IssuerServer
    partner: IssuerServer

    def status(self, token: str, endpoint: str = "open") -> int:
        return int(self.platform.request(f"/{endpoint}/invocations", token=token).status)

    def lets_in(self, token: str, endpoint: str = "open") -> None:
        eventually(lambda: self.status(token, endpoint) == 200, "the token is good")

    def read_again(self, server: IssuerServer) -> None:
        count = len(server.asked)
        eventually(lambda: len(server.asked) > count + 3, "it was asked again")


def put_world(api: Any, platform: Any) -> None:
    server = platform.server("pod")
    for name, access in (("open", {}), ("bobs", {"subjects": ["bob"]}), ("team", {"groups": ["corp:risk"]})):
        space = names.endpoint_namespace(name)
        versions = [{"name": "v1", "modelUri": "m", "image": "i", "weight": 100}]
        api.put(MODEL_ENDPOINTS, name, namespace=space, spec={"versions": versions, "access": access})
        api.put(
            ENDPOINT_SLICES, f"{name}-slice", namespace=space,
            labels={names.ENDPOINT_LABEL: name, names.VERSION_LABEL: "v1"},
            ports=[{"name": "http", "port": server.address.port}],
            endpoints=[{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
        )  # fmt: skip
    api.put(
        BALANCER_SLICES, "load-balancer-slice", namespace=names.SYSTEM_NAMESPACE,
        ports=[{"name": "proxy", "port": platform.options.load_balancer_port}],
        endpoints=[{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    )  # fmt: skip
    api.documents["/.well-known/openid-configuration"] = {"issuer": platform.signer.issuer}
    api.documents["/openid/v1/jwks"] = {"keys": [platform.signer.jwk()]}


@pytest.fixture
def start(api: Any, platform: Any) -> Iterator[Callable[..., Ruled]]:
    corp, partner = IssuerServer(), IssuerServer(path="/realms/ops")
    ends: list[Callable[[], None]] = []
    put_world(api, platform)
    client = api.client()

    def begin(*, partner_is_away: bool = False) -> Ruled:
        partner.is_away = partner_is_away
        found: list[ControlLoop] = []

        def make(publisher: Any) -> ControlLoop:
            issuers = (
                TrustedIssuer(issuer=corp.issuer, prefix="corp:", groups_claim="groups"),
                TrustedIssuer(issuer=partner.issuer, audiences=("serving",)),
            )
            found.append(ControlLoop(client, publisher, platform.options, issuers=issuers))
            for keys in found[0].other_keys.values():
                keys.period_seconds = 0.02
            return found[0]

        ends.append(platform.control_plane.follow(make))
        return Ruled(platform, found[0], corp, partner)

    yield begin
    for end in ends:
        end()
    platform.publish_world()
    corp.stop()
    partner.stop()


def test_each_issuers_callers_are_let_in_by_their_own_keys_and_names(start: Any) -> None:
    ruled = start()
    corp, partner, cluster = ruled.corp.signer, ruled.partner.signer, ruled.platform.signer
    ruled.lets_in(cluster.token())
    ruled.lets_in(corp.token())
    ruled.lets_in(partner.token(aud="serving"))

    assert ruled.status(partner.token()) == 401, "for another audience"
    assert ruled.status(corp.token(iss=partner.issuer, aud="serving")) == 401, "signed by another"
    assert ruled.status(cluster.token(sub="bob"), "bobs") == 200
    assert ruled.status(corp.token(sub="bob"), "bobs") == 403
    assert ruled.status(partner.token(sub="bob", aud="serving"), "bobs") == 403
    assert ruled.status(corp.token(groups=["risk"]), "team") == 200
    assert ruled.status(partner.token(groups=["risk"], aud="serving"), "team") == 403


def test_one_that_goes_away_or_says_nonsense_keeps_its_callers_and_harms_no_other(start: Any) -> None:
    ruled = start()
    kept = ruled.partner.signer.token(aud="serving")
    ruled.lets_in(kept)
    rejections = ruled.platform.control_plane.rejections()
    ruled.partner.is_away = True
    ruled.read_again(ruled.partner)
    assert ruled.status(kept) == 200
    ruled.partner.is_away = False
    for nonsense in (b"<html>", {"keys": []}, {"keys": [{"kty": "RSA", "n": "AQ", "e": "AQ"}]}, {"keys": [None]}):
        ruled.partner.say(KEYS, nonsense)
        ruled.read_again(ruled.partner)
        ruled.corp.rotate()
        ruled.lets_in(ruled.corp.signer.token())
        assert ruled.status(kept) == 200
        assert ruled.status(ruled.platform.signer.token()) == 200
    assert ruled.platform.control_plane.rejections() == rejections


def test_a_rotated_key_is_followed_and_the_one_before_it_is_forgotten(start: Any) -> None:
    ruled = start()
    ruled.lets_in(ruled.corp.signer.token())
    before = ruled.corp.rotate()
    ruled.lets_in(ruled.corp.signer.token())
    assert ruled.status(before.token()) == 200, "while both are published"
    ruled.corp.publish(ruled.corp.signer)
    eventually(lambda: ruled.status(before.token()) == 401, "the old key is forgotten")
    assert ruled.status(ruled.corp.signer.token()) == 200


def test_one_that_is_away_from_the_start_is_awaited_for_a_moment_and_let_in_when_it_comes(start: Any) -> None:
    ruled = start(partner_is_away=True)
    token = ruled.partner.signer.token(aud="serving")
    ruled.lets_in(ruled.corp.signer.token())
    assert len(ruled.partner.asked) >= FIRST_TRIES
    assert ruled.status(token) == 401
    ruled.partner.is_away = False
    ruled.lets_in(token)
