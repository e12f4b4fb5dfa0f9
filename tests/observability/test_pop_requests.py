"""PopRequests: what a page tries goes to a PopProxy whose certificate is checked, with the caller's token."""

import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from headrace.contract.errors import TemporaryError
from headrace.observability.console.pop_requests import ANSWER_BYTES, PopRequests
from tests.observability.http_stand_in import Asked, stand_in
from tests.routing.issuer import write_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tls.crt and tls.key, for `localhost`."""
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder)
    return folder / "..data"


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
    return context


def answered(asked: Asked) -> tuple[int, bytes, dict[str, str]]:
    if asked[0] == "GET":
        return 200, b'{"inputs": []}', {}
    if asked[3] == b"large":
        return 200, b"x" * (ANSWER_BYTES + 1), {}
    return 200, b'{"predictions": [1]}', {"x-request-id": "r-1", "served-model-name": "v2"}


def test_a_request_has_the_caller_s_token_and_a_trace(tls: ssl.SSLContext, certificate: Path) -> None:
    authority = (certificate / "tls.crt").read_text()
    with stand_in(answered, tls=tls) as (port, asked):
        pop = PopRequests(f"localhost:{port}", lambda: ("https://models.example:30443", authority))
        assert pop.signature("fraud", "a.b.c") == {"inputs": []}
        answer = pop.score("fraud", b'{"inputs": [1]}', "a.b.c", version="v2")
        cut = pop.score("fraud", b"large", "a.b.c")

    assert [each[:2] for each in asked] == [
        ("GET", "/v2/models/fraud"),
        ("POST", "/serving-endpoints/fraud/served-models/v2/invocations"),
        ("POST", "/serving-endpoints/fraud/invocations"),
    ]
    assert {each[2]["authorization"] for each in asked} == {"Bearer a.b.c"}
    assert asked[1][2]["traceparent"].split("-")[1] == answer.trace_id
    assert (answer.status, json.loads(answer.text), answer.request_id, answer.version) == (
        200, {"predictions": [1]}, "r-1", "v2",
    )  # fmt: skip
    assert (cut.is_cut, len(cut.text)) == (True, ANSWER_BYTES)


def test_a_token_goes_to_nobody_whose_certificate_is_another_s(tls: ssl.SSLContext, certificate: Path) -> None:
    authority = (certificate / "tls.crt").read_text()
    known: list[tuple[str, str]] = [
        ("https://models.example", ""),  # a public authority, which did not sign it
        ("https://models.example", authority),
    ]
    with stand_in(answered, tls=tls) as (port, asked):
        for host, (url, pem) in (("localhost", known[0]), ("127.0.0.1", known[1])):
            pop = PopRequests(f"{host}:{port}", lambda told=(url, pem): told)  # type: ignore[misc]
            with pytest.raises(TemporaryError, match=r"certificate verify failed|doesn't match"):
                pop.score("fraud", b"{}", "a.b.c")
            with pytest.raises(TemporaryError):
                pop.signature("fraud", "a.b.c")
    assert asked == []


def test_a_model_without_a_signature_and_a_pop_that_is_away(tls: ssl.SSLContext, certificate: Path) -> None:
    told: Any = ("https://models.example", (certificate / "tls.crt").read_text())
    with stand_in(lambda _: (404, b"{}", {}), tls=tls) as (port, _):
        assert PopRequests(f"localhost:{port}", lambda: told).signature("fraud", "t") is None
    with pytest.raises(TemporaryError, match="no answer came"):
        PopRequests(f"localhost:{port}", lambda: told).score("fraud", b"{}", "t")
