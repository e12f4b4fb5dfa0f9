"""Refusals over HTTP/2 while the body is still on its way: the caller sees the status, and no error of the stream."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from http2_client import Http2Client

pytestmark = pytest.mark.slow
INVOKE = "/serving-endpoints/fraud/invocations"
KIBIBYTE = 1024


@pytest.fixture
def fraud(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("fraud")
    platform.publish(
        make_endpoint("fraud"),
        make_endpoint("private", subjects=("bob",)),
        pods={("fraud", "v1"): (server,), ("private", "v1"): (server,)},
    )
    return server


def cases(signer: Any) -> Mapping[str, tuple[int, str, str, int]]:
    """Status, path, token and the size of the body."""
    good, expired = signer.token(), signer.token(exp=1)
    return {
        "no token": (401, INVOKE, "", 20),
        "no token, larger than a window": (401, INVOKE, "", 300 * KIBIBYTE),
        "an expired token": (401, INVOKE, expired, 300 * KIBIBYTE),
        "a caller who is not on the list": (403, "/private/invocations", good, 300 * KIBIBYTE),
        "no such endpoint": (404, "/absent/invocations", good, 20),
        "no such endpoint, larger than a window": (404, "/absent/invocations", good, 300 * KIBIBYTE),
        "no such path": (404, "/fraud/nothing", good, 300 * KIBIBYTE),
        "a wrong method": (405, INVOKE, good, 300 * KIBIBYTE),
        "larger than the largest": (413, INVOKE, good, 17 * KIBIBYTE * KIBIBYTE),
        "larger than the largest, no token": (413, INVOKE, "", 17 * KIBIBYTE * KIBIBYTE),
    }


CASES = tuple(cases(type("Nobody", (), {"token": staticmethod(lambda **_: "")})))


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_comes_when_the_body_is_read_and_is_no_reset(
    platform: Any, fraud: Any, signer: Any, case: str
) -> None:
    status, path, token, size = cases(signer)[case]
    client = Http2Client(platform)
    method = "PUT" if status == 405 else "POST"
    client.begin(path, method=method, token=token, length=size)
    client.send(b"x" * (size - 1))
    early = client.received()
    client.send(b"x", last=True)
    client.until_ended()
    assert not early, "nothing is answered before the body is there"
    assert (client.status, client.reset) == (status, None)
    assert json.loads(client.body)
    assert not fraud.requests


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("case", ["no token", "no token, larger than a window", "no such endpoint"])
def test_curl_prints_the_status_each_time(platform: Any, fraud: Any, signer: Any, tmp_path: Path, case: str) -> None:
    """Version 7.88, of Debian 12, takes a stream that was reset for an error although it has the answer."""
    status, path, token, size = cases(signer)[case]
    body = tmp_path / "body"
    body.write_bytes(b"x" * size)
    url = f"https://localhost:{platform.options.pop_port}{path}"
    command = ["curl", "--silent", "--http2", "--cacert", str(platform.ca_file), "--output", "/dev/null"]
    command += ["--write-out", "%{http_code}", "--max-time", "20", "--data-binary", f"@{body}"]
    command += ["--header", f"Authorization: Bearer {token}"] if token else []
    found = [subprocess.run([*command, url], capture_output=True, text=True, check=False) for _ in range(10)]
    assert {(each.returncode, each.stdout) for each in found} == {(0, str(status))}


def test_who_is_refused_over_http1_hears_it_before_the_body_is_sent(platform: Any, fraud: Any) -> None:
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
    assert b" 401 " in platform.raw(head.encode()).split(b"\r\n")[0]


def test_what_a_pod_gets_says_nothing_of_the_check(platform: Any, fraud: Any) -> None:
    forged = {"x-headrace-token": "mine", "x-headrace-refused": "1"}
    assert platform.request(INVOKE, headers=forged).status == 200
    assert not {"x-headrace-token", "x-headrace-refused", "authorization"} & fraud.requests[0].headers.keys()


def test_a_forged_mark_lets_nobody_in(platform: Any, fraud: Any) -> None:
    assert platform.request(INVOKE, token="", headers={"x-headrace-token": "https://issuer.test"}).status == 401
    assert not fraud.requests
