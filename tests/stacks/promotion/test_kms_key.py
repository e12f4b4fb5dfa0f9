"""Evidence that a key of AWS KMS signs is believed without KMS, and a key that cannot be used says what to do."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from attestations import attestation
from patience import free_port
from stand_in_aws.running import REGION, Account, aws

from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.stacks.promotion.envelope import new_key, opened, public_pem, signed
from headrace.stacks.promotion.kms_key import KmsKey

ARN = f"arn:aws:kms:{REGION}:123456789012:alias/evidence"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """AWS with the alias `evidence` for a key that signs."""
    with aws() as started:
        kms = Account(started).client("kms")
        kms.create_alias(AliasName="alias/evidence", TargetKeyId=made(kms, KeySpec="ECC_NIST_P256"))
        yield started


@pytest.fixture
def kms(address: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a person asks; and the environment of who deploys, with credentials and without a region."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL_KMS": address,
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return Account(address).client("kms")


def made(kms: Any, *, KeyUsage: str = "SIGN_VERIFY", **given: str) -> str:
    """The id of a new key."""
    return str(kms.create_key(KeyUsage=KeyUsage, **given)["KeyMetadata"]["KeyId"])


@pytest.mark.parametrize(
    "uri",
    [
        f"awskms:alias/evidence?region={REGION}",
        f"awskms://alias/evidence?region={REGION}&awssdk=v2",
        f"awskms:{ARN}",
        f"awskms:///{ARN}",
    ],
)
def test_what_kms_signed_is_believed_by_the_public_half_alone(
    kms: Any, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope, trusted = signed(attestation(), uri), public_pem(uri)
    assert json.loads(envelope)["signatures"] != []
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{free_port()}")

    assert opened(envelope, [new_key().public, trusted]) == attestation()


def test_a_large_attestation_is_signed_too(kms: Any) -> None:
    """KMS takes 4096 bytes of a message; it gets the digest."""
    large = attestation(model_identity="x" * 8192)
    uri = f"awskms:alias/evidence?region={REGION}"

    assert opened(signed(large, uri), [public_pem(uri)]) == large


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_that_of_the_environment_where_the_uri_has_none(
    kms: Any, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, REGION)

    assert KmsKey.of_uri("awskms:alias/evidence") == KmsKey(id="alias/evidence", region=REGION)


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("awskms:alias/evidence", "has no region, must have one; add "),
        ("awskms:", "names no key, must name one; write "),
        ("awskms:alias/evidence?region=a&profile=b", "has 'profile', must have no parameter but region"),
        (f"awskms:{ARN}?region=us-east-1", f"names two regions, {REGION} and us-east-1"),
    ],
)
def test_a_uri_that_names_no_key_of_one_region_is_refused(kms: Any, uri: str, fault: str) -> None:
    with pytest.raises(InputError, match="evidence key: ") as raised:
        signed(attestation(), uri)
    assert fault in str(raised.value)


def disabled(kms: Any) -> str:
    key = made(kms, KeySpec="ECC_NIST_P256")
    kms.disable_key(KeyId=key)
    return key


def deleted(kms: Any) -> str:
    key = made(kms, KeySpec="ECC_NIST_P256")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    return key


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (disabled, "is disabled, must be enabled; enable it, or name another"),
        (deleted, "is not to be used in its state"),
        (lambda kms: "alias/other", "does not exist there, must exist"),
        (lambda kms: made(kms, KeyUsage="ENCRYPT_DECRYPT"), "does not sign, must be one with the usage SIGN_VERIFY"),
        (lambda kms: made(kms, KeySpec="ECC_NIST_P384"), "is one of ECC_NIST_P384 for SIGN_VERIFY, must be one with"),
        (lambda kms: made(kms, KeySpec="RSA_2048"), "is one of RSA_2048 for SIGN_VERIFY, must be one with"),
    ],
    ids=["disabled", "about to be deleted", "unknown", "encrypts", "another curve", "RSA"],
)
def test_a_key_that_does_not_sign_is_named_with_its_remedy(kms: Any, key: Callable[[Any], str], sentence: str) -> None:
    with pytest.raises(PermanentError, match="evidence key: the KMS key ") as raised:
        signed(attestation(), f"awskms:{key(kms)}?region={REGION}")
    assert sentence in str(raised.value)


def test_a_key_that_is_disabled_after_it_was_found_does_not_sign(kms: Any) -> None:
    key = made(kms, KeySpec="ECC_NIST_P256")
    signer = KmsKey(id=key, region=REGION).signer()
    kms.disable_key(KeyId=key)

    with pytest.raises(PermanentError, match="is disabled"):
        signer.sign(b"evidence")


@contextmanager
def kms_that_answers(code: str) -> Iterator[str]:
    """A server that refuses everything with that code of KMS."""

    class Refusal(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"__type": code, "message": "as the test asked for"}).encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Requests are not told."""

    with HTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        ("AccessDeniedException", PermanentError, "must be open to kms:GetPublicKey and kms:Sign; grant these"),
        ("ExpiredTokenException", PermanentError, "credentials that have expired; log in again"),
        ("UnrecognizedClientException", PermanentError, "credentials that AWS does not know"),
        ("ThrottlingException", TemporaryError, "cannot be used now, KMS answers ThrottlingException"),
        ("KMSInternalException", TemporaryError, "cannot be used now, KMS answers KMSInternalException"),
        ("DependencyTimeoutException", TemporaryError, "cannot be used now"),
    ],
)
def test_what_time_may_cure_is_told_apart(
    kms: Any, code: str, kind: type[Exception], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kms_that_answers(code) as refusing:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", refusing)
        with pytest.raises(kind) as raised:
            signed(attestation(), f"awskms:alias/evidence?region={REGION}")
    assert sentence in str(raised.value)


def test_kms_that_does_not_answer_may_answer_later(kms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{free_port()}")

    with pytest.raises(TemporaryError, match="KMS does not answer"):
        signed(attestation(), f"awskms:alias/evidence?region={REGION}")


def test_without_credentials_nobody_is_asked(kms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(PermanentError, match="without credentials of AWS; log in, or set AWS_PROFILE"):
        signed(attestation(), f"awskms:alias/evidence?region={REGION}")
