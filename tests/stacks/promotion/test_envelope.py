"""Evidence is believed when a key that is trusted has signed it, and as it was signed."""

import base64
import json
from pathlib import Path

import pytest
from attestations import attestation

from headrace.contract.attestation import unverified
from headrace.contract.errors import InputError
from headrace.stacks.promotion.envelope import KeyPair, Unsigned, new_key, opened, public_pem, signed


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, KeyPair]:
    """A key's URI, and the key."""
    pair = new_key()
    (tmp_path / "key.pem").write_text(pair.private)
    return f"file:{tmp_path}/key.pem", pair


def test_what_a_trusted_key_signed_is_read_as_it_was_written(key: tuple[str, KeyPair]) -> None:
    uri, pair = key
    envelope = signed(attestation(), uri)
    assert opened(envelope, [new_key().public, pair.public]) == attestation()
    assert unverified(envelope) == attestation()


def test_the_same_attestation_is_signed_with_the_same_bytes(key: tuple[str, KeyPair]) -> None:
    """So that an update without a change changes no output."""
    assert signed(attestation(), key[0]) == signed(attestation(), key[0])


def test_the_public_half_is_that_of_the_private_one(key: tuple[str, KeyPair]) -> None:
    assert public_pem(key[0]) == key[1].public


@pytest.mark.parametrize("trusted", [[], [new_key().public]], ids=["nobody", "another"])
def test_a_key_that_is_not_trusted_is_named(key: tuple[str, KeyPair], trusted: list[str]) -> None:
    with pytest.raises(Unsigned, match="must be signed by a trusted key"):
        opened(signed(attestation(), key[0]), trusted)


def test_evidence_that_was_changed_is_not_believed(key: tuple[str, KeyPair]) -> None:
    document = json.loads(signed(attestation(), key[0]))
    statement = attestation(model_uri="models:/fraud/666").statement()
    document["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    with pytest.raises(Unsigned):
        opened(json.dumps(document), [key[1].public])


def test_another_payload_type_is_not_believed(key: tuple[str, KeyPair]) -> None:
    """The type is part of what is signed."""
    document = {**json.loads(signed(attestation(), key[0])), "payloadType": "text/plain"}
    with pytest.raises(Unsigned):
        opened(json.dumps(document), [key[1].public])


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"payload": 1, "payloadType": "", "signatures": []}'])
def test_what_is_no_envelope_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="must be a DSSE envelope as text"):
        opened(text, [new_key().public])


@pytest.mark.parametrize("uri", ["", "key.pem", "file:/missing", "s3:key"])
def test_a_key_that_cannot_be_used_is_named(uri: str) -> None:
    with pytest.raises(InputError, match="evidence key: "):
        signed(attestation(), uri)


def test_a_trusted_key_that_is_none_is_named(key: tuple[str, KeyPair]) -> None:
    with pytest.raises(InputError, match="must be a public key in PEM"):
        opened(signed(attestation(), key[0]), ["hush"])
