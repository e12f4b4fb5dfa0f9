"""What is read of an issuer, and all that is not taken from it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from issuer_server import IssuerServer

from headrace.contract.errors import TemporaryError
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.routing.ads.issuer_documents import DOCUMENT_MOST_BYTES, IssuerDocuments, cluster_documents

CONFIGURATION = "/.well-known/openid-configuration"


@pytest.fixture
def server() -> Iterator[IssuerServer]:
    server = IssuerServer()
    yield server
    server.stop()


def read(server: IssuerServer, **settings: Any) -> Any:
    return IssuerDocuments(TrustedIssuer(issuer=server.issuer, **settings)).read()


def published(server: IssuerServer) -> dict[str, Any]:
    return {"keys": [{name: value for name, value in server.signer.jwk().items()}]}


def test_its_own_document_leads_to_the_keys(server: IssuerServer) -> None:
    assert read(server) == (server.issuer, published(server))
    assert server.asked == [CONFIGURATION, "/jwks"]


def test_an_issuer_below_a_path_is_asked_below_it() -> None:
    server = IssuerServer(path="/realms/ops/")
    try:
        assert read(server) == (server.issuer, published(server))
        assert server.asked == [f"/realms/ops{CONFIGURATION}", "/jwks"]
    finally:
        server.stop()


def test_an_address_of_keys_that_was_given_is_asked_alone(server: IssuerServer) -> None:
    server.documents.pop(CONFIGURATION)
    assert read(server, jwks_uri=f"{server.base}/jwks") == (server.issuer, published(server))
    assert server.asked == ["/jwks"]


def test_a_private_authority_is_believed_where_it_is_given_and_nowhere_else(tmp_path: Path) -> None:
    server, stranger = IssuerServer(tmp_path / "one"), IssuerServer(tmp_path / "other")
    try:
        assert read(server, ca_certificate=server.authority) == (server.issuer, published(server))
        for authority in (None, stranger.authority):
            with pytest.raises(TemporaryError, match="certificate verify failed"):
                read(server, ca_certificate=authority)
    finally:
        server.stop()
        stranger.stop()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>",
        b"[" * 100_000,
        b"\xff\xfe",
        b" " * (DOCUMENT_MOST_BYTES + 1),
        json.dumps(["issuer"]).encode(),
        json.dumps({"issuer": "https://else.test", "jwks_uri": "https://else.test/jwks"}).encode(),
        json.dumps({"issuer": None}).encode(),
    ],
)
def test_nonsense_about_itself_is_no_answer(server: IssuerServer, said: bytes) -> None:
    server.say(CONFIGURATION, said)
    with pytest.raises(TemporaryError) as caught:
        read(server)
    assert server.base.removeprefix("http://") in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("address", ["http://keys.test/jwks", "file:///etc/passwd", "", 7, None, ["x"], "https://"])
def test_keys_are_not_read_from_where_anybody_could_change_them(server: IssuerServer, address: Any) -> None:
    server.say(CONFIGURATION, {"issuer": server.issuer, "jwks_uri": address})
    with pytest.raises(TemporaryError, match="names no https:// address of keys"):
        read(server)
    assert server.asked == [CONFIGURATION]


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [{"kty": "RSA"}]}'])
def test_a_key_set_without_a_usable_key_is_no_answer(server: IssuerServer, said: bytes) -> None:
    server.say("/jwks", said)
    with pytest.raises(TemporaryError):
        read(server)


def test_a_redirection_is_not_followed(server: IssuerServer) -> None:
    server.documents["/jwks"] = (302, {"location": f"{server.base}/elsewhere"}, b"{}")
    server.say("/elsewhere", published(server))
    with pytest.raises(TemporaryError, match="answered with 302"):
        read(server)
    assert "/elsewhere" not in server.asked


def test_an_issuer_that_hangs_up_is_told_by_its_address(server: IssuerServer) -> None:
    server.is_away = True
    with pytest.raises(TemporaryError, match="cannot be asked"):
        read(server)


def test_the_clusters_documents_are_the_api_servers(api: Any) -> None:
    api.documents[CONFIGURATION] = {"issuer": "https://issuer.test"}
    api.documents["/openid/v1/jwks"] = {"keys": [{"kid": "one"}]}
    assert cluster_documents(api.client()) == ("https://issuer.test", {"keys": [{"kid": "one"}]})

    api.documents["/openid/v1/jwks"] = {"keys": []}
    with pytest.raises(TemporaryError, match="publishes no keys"):
        cluster_documents(api.client())
    api.documents[CONFIGURATION] = {}
    with pytest.raises(TemporaryError, match="cannot be read"):
        cluster_documents(api.client())
