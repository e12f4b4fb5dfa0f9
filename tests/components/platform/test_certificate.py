"""Certificates as a client sees them: judged by TLS itself, over a socket pair."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headrace.components.platform.certificate import (
    SERVER_LIFE,
    KeyPair,
    _Issuer,
    new_authority,
    new_server,
    renewal_due,
)

NOW = datetime.now(UTC)
NAMES = ["models.example", "127.0.0.1", "pop-proxy.headrace-system.svc"]


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return new_authority(NOW)


def handshake(folder: Path, server: KeyPair, *, trusted: str, name: str) -> None:
    """One TLS handshake by `name`, the client trusting `trusted` under OpenSSL's strict rules."""
    (folder / "server.pem").write_text(server.certificate + server.private_key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "server.pem")
    calling = ssl.create_default_context(cadata=trusted)
    calling.verify_flags |= ssl.VERIFY_X509_STRICT
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(far, server_side=True).close()
        except ssl.SSLError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        calling.wrap_socket(near, server_hostname=name).close()
    finally:
        near.close()
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_trusts_the_authority_accepts_each_name(tmp_path: Path, authority: KeyPair, name: str) -> None:
    handshake(tmp_path, new_server(authority, NAMES, NOW), trusted=authority.certificate, name=name)


def test_a_name_that_was_not_asked_for_is_refused(tmp_path: Path, authority: KeyPair) -> None:
    server = new_server(authority, NAMES, NOW)

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(tmp_path, server, trusted=authority.certificate, name="other.example")


def test_another_authority_is_not_trusted(tmp_path: Path, authority: KeyPair) -> None:
    server = new_server(authority, NAMES, NOW)

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, server, trusted=new_authority(NOW).certificate, name=NAMES[0])


def test_a_certificate_falls_due_in_the_last_third_of_its_life(authority: KeyPair) -> None:
    certificate = new_server(authority, NAMES, NOW).certificate

    assert not renewal_due(certificate, NOW + SERVER_LIFE * 0.6)
    assert renewal_due(certificate, NOW + SERVER_LIFE * 0.7)
    assert renewal_due(certificate, NOW + SERVER_LIFE + timedelta(days=1))


def test_nothing_changes_while_names_and_certificate_are_good() -> None:
    issued = _Issuer().create({"server_names": NAMES}).outs

    assert not _Issuer().diff("certificate", issued, {"server_names": NAMES}).changes


def test_a_new_name_gives_a_new_certificate_under_the_same_authority(tmp_path: Path) -> None:
    issued = _Issuer().create({"server_names": NAMES}).outs
    wanted = {"server_names": [*NAMES, "new.example"]}

    assert _Issuer().diff("certificate", issued, wanted).changes
    renewed = _Issuer().update("certificate", issued, wanted).outs

    assert renewed["ca_certificate"] == issued["ca_certificate"]
    server = KeyPair(certificate=renewed["certificate"], private_key=renewed["private_key"])
    handshake(tmp_path, server, trusted=issued["ca_certificate"], name="new.example")


def test_an_old_certificate_is_renewed_without_any_other_change(authority: KeyPair) -> None:
    old = new_server(authority, NAMES, NOW - SERVER_LIFE * 0.7)
    issued = {"server_names": NAMES, "certificate": old.certificate}

    assert _Issuer().diff("certificate", issued, {"server_names": NAMES}).changes
