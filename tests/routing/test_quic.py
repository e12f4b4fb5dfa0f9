"""Callers over HTTP/3 through the real PopProxy: the same answers and refusals as over TCP."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from clients import Platform
from http3_client import Http3Answer, ask
from patience import eventually

from headrace.contract.revoked import NOTHING_REVOKED, Revoked
from headrace.routing.snapshot import Endpoint

pytestmark = pytest.mark.slow
BODY_BYTES = 2**18
INVOKE = "/serving-endpoints/fraud/invocations"


@pytest.fixture
def spoken(platform: Platform, make_endpoint: Callable[..., Endpoint]) -> Iterator[Platform]:
    """One endpoint, which a friend may call, on a platform with HTTP/3."""
    plain = platform.options
    # The client here sends less than two mebibytes a second.
    platform.options = replace(plain, http3_port=plain.pop_port, body_bytes=BODY_BYTES)
    platform.publish(make_endpoint("fraud", subjects=("friend",)), pods={("fraud", "v1"): (platform.server("v1"),)})
    yield platform
    platform.options = plain
    platform.publish_world(revoked=NOTHING_REVOKED)


def over_http3(platform: Platform, path: str = INVOKE, **asked: Any) -> list[Http3Answer]:
    told = {"ca_file": str(platform.ca_file), "host": "localhost", "body": b'{"inputs": [1]}', **asked}
    return ask(("127.0.0.1", platform.options.pop_port), path, **told)


def test_a_caller_is_told_of_it_over_tcp_and_gets_the_same_answers(spoken: Platform) -> None:
    token = spoken.signer.token(sub="friend")

    over_tcp = spoken.request(INVOKE, token=token)
    answers = over_http3(spoken, token=token, times=3)

    assert over_tcp.headers["alt-svc"] == f'h3=":{spoken.options.http3_port}"; ma=3600'
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert {answer.body for answer in answers} == {over_tcp.body}
    seen = spoken.servers[-1].requests[-1].headers
    assert seen["x-headrace-subject"] == "friend"
    assert "authorization" not in seen


def test_it_is_no_way_around_tokens_lists_limits_of_size_or_what_is_revoked(spoken: Platform) -> None:
    friend, stranger = spoken.signer.token(sub="friend", jti="lost"), spoken.signer.token(sub="stranger")
    claimed = {"x-headrace-subject": "friend"}

    (nobody,) = over_http3(spoken, headers=claimed)
    (refused,) = over_http3(spoken, token=stranger, headers=claimed)
    (large,) = over_http3(spoken, token=friend, body=b"1" * (spoken.options.body_bytes + 1))
    spoken.publish_world(revoked=Revoked(tokens=("lost",)))
    (revoked,) = over_http3(spoken, token=friend)

    assert [answer.status for answer in (nobody, refused, large, revoked)] == [401, 403, 413, 401]
    assert refused.json()["error_code"] == "PERMISSION_DENIED"
    assert revoked.json()["message"].startswith("Jwt is revoked")


def test_where_it_is_not_asked_for_nothing_listens_and_nobody_is_told(
    platform: Platform, make_endpoint: Callable[..., Endpoint]
) -> None:
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (platform.server("v1"),)})

    def is_free() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
            try:
                port.bind(("127.0.0.1", platform.options.pop_port))
            except OSError:
                return False
            return True

    assert "alt-svc" not in platform.request(INVOKE).headers
    eventually(is_free, "a listener of before is gone")
