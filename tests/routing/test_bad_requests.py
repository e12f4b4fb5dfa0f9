"""Requests that break a rule of HTTP or of the edge, by their numbers, through the real PopProxy."""

import json
import socket
import ssl
from typing import Any

import pytest

pytestmark = pytest.mark.slow
INVOKE = "/serving-endpoints/fraud/invocations"


@pytest.fixture
def fraud(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("fraud")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    return server


@pytest.fixture
def head(signer: Any) -> str:
    return f"Host: localhost\r\nAuthorization: Bearer {signer.token()}\r\nContent-Type: application/json\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "path", [INVOKE, "/fraud/invocations", "/serving-endpoints/fraud/served-models/v1/invocations"]
)
def test_f46_only_post_predicts(platform: Any, fraud: Any, method: str, path: str) -> None:
    answer = platform.request(path, method=method, body=None)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert answer.json()["error_code"] == "METHOD_NOT_ALLOWED"
    assert not fraud.requests


@pytest.mark.parametrize("method", ["TRACE", "FOO", "CONNECT"])
def test_f49_methods_that_nobody_serves(platform: Any, fraud: Any, head: str, method: str) -> None:
    answer = platform.raw(f"{method} {INVOKE} HTTP/1.1\r\n{head}\r\n".encode())
    assert status_of(answer) in (400, 404, 405, 501)
    assert not fraud.requests


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/absent/invocations",
        "/serving-endpoints/absent/invocations",
        "/serving-endpoints/fraud",
        "/fraud",
        "/fraud/invocations/more",
        "/fraud/ping",
        "/serving-endpoints/fraud/served-models/absent/invocations",
        "/docs",
        "/openapi.json",
        "/invocations",
        "/metrics",
        "/stats/prometheus",
        "/ready",
    ],
)
def test_f51_what_is_not_served_is_404(platform: Any, fraud: Any, path: str) -> None:
    answer = platform.request(path)
    assert (answer.status, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert answer.headers["x-request-id"]
    assert not fraud.requests


def test_f51_who_has_no_token_learns_nothing_of_what_exists(platform: Any, fraud: Any) -> None:
    absent, present = (platform.request(path, token="") for path in ("/absent/invocations", "/fraud/invocations"))
    assert (absent.status, present.status) == (401, 401)
    assert absent.body == present.body


def test_clients_learn_at_once_that_there_is_no_client_configuration(platform: Any, fraud: Any) -> None:
    answer = platform.request("/.well-known/databricks-config", method="GET", token="", body=None)
    assert (answer.status, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert platform.request("/.well-known/databricks-config", token="").status == 401, "only GET is public"
    healthy = platform.request("/healthz", method="GET", token="", body=None)
    assert (healthy.status, healthy.body) == (200, b"ok")


@pytest.mark.parametrize(
    ("case", "path"),
    [
        ("F52", "//invocations"),
        ("F53", "/x/../invocations"),
        ("F54", "/%2finvocations"),
        ("F54", "/fraud%2Finvocations"),
        ("F54", "/fraud%5cinvocations"),
    ],
)
def test_f52_odd_paths_lead_nowhere(platform: Any, fraud: Any, case: str, path: str) -> None:
    assert platform.request(path).status in (400, 404)
    assert not fraud.requests


def test_f55_a_trailing_slash_does_not_matter(platform: Any, fraud: Any) -> None:
    assert platform.request(f"{INVOKE}/").status == 200
    assert fraud.requests[-1].path == "/invocations/", "the front takes both, see tests/runtimes/http/test_bad_input.py"


def test_a_query_string_is_passed_on(platform: Any, fraud: Any) -> None:
    assert platform.request(f"{INVOKE}?a=b%2Fc").status == 200
    assert fraud.requests[-1].path == "/invocations?a=b%2Fc"


def test_f56_to_f58_oversized_heads_are_431(platform: Any, fraud: Any, head: str) -> None:
    long_path = f"POST {INVOKE}?{'a' * 10_000} HTTP/1.1\r\n{head}Content-Length: 2\r\n\r\n{{}}"
    long_header = f"POST {INVOKE} HTTP/1.1\r\n{head}X-Long: {'a' * 20_000}\r\nContent-Length: 2\r\n\r\n{{}}"
    many = "".join(f"X-{number}: 1\r\n" for number in range(200))
    many_headers = f"POST {INVOKE} HTTP/1.1\r\n{head}{many}Content-Length: 2\r\n\r\n{{}}"
    for request in (long_path, long_header, many_headers):
        assert status_of(platform.raw(request.encode())) == 431
    assert not fraud.requests


def test_f59_a_body_that_never_comes_is_408(platform: Any, fraud: Any, head: str) -> None:
    answer = platform.raw(f"POST {INVOKE} HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\nfour".encode())
    assert status_of(answer) == 408
    assert json.loads(answer.split(b"\r\n\r\n")[1])["error_code"] == "REQUEST_TIMEOUT"
    assert not fraud.requests


def test_f82_headers_that_never_end_are_408(platform: Any, fraud: Any, head: str) -> None:
    assert status_of(platform.raw(f"POST {INVOKE} HTTP/1.1\r\n{head}".encode())) == 408


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        pytest.param("Content-Length: 2\r\nContent-Length: 3\r\n", "{} ", id="F60 two lengths"),
        pytest.param(
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", id="F61 length and chunks"
        ),
        pytest.param("Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n", id="F63 bad chunk size"),
        pytest.param("Content-Length: -1\r\n", "{}", id="F71 negative length"),
        pytest.param("Host: other\r\nContent-Length: 2\r\n", "{}", id="F66 two hosts"),
        pytest.param("X-A : b\r\nContent-Length: 2\r\n", "{}", id="F67 blank before colon"),
        pytest.param("X-A: b\x01\r\nContent-Length: 2\r\n", "{}", id="control character"),
        pytest.param("X-A: b\x00\r\nContent-Length: 2\r\n", "{}", id="NUL"),
    ],
)
def test_f60_to_f71_what_could_be_read_in_two_ways_is_refused(
    platform: Any, fraud: Any, head: str, fields: str, body: str
) -> None:
    answer = platform.raw(f"POST {INVOKE} HTTP/1.1\r\n{head}{fields}\r\n{body}".encode("latin-1"))
    assert status_of(answer) in (400, 501), answer
    assert not fraud.requests


@pytest.mark.parametrize(
    "encoding", ["xchunked", "gzip", "chunked, gzip", "gzip, chunked", "identity", "chunked;q=1", "chunked, chunked"]
)
def test_f62_a_coding_that_is_not_served_is_named(platform: Any, fraud: Any, head: str, encoding: str) -> None:
    fields = f"{head}Transfer-Encoding: {encoding}\r\n"
    answer = platform.raw(f"POST {INVOKE} HTTP/1.1\r\n{fields}\r\n2\r\n{{}}\r\n0\r\n\r\n".encode())
    assert status_of(answer) == 501
    document = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert document["error_code"] == "NOT_IMPLEMENTED"
    assert "Transfer-Encoding is not 'chunked'" in document["message"]
    assert not fraud.requests


@pytest.mark.parametrize(
    ("case", "request_line", "fields"),
    [
        ("F65 no host", "POST /fraud/invocations HTTP/1.1", "Content-Length: 2\r\n"),
        ("F69 HTTP/0.9", "GET /fraud/invocations", ""),
        ("HTTP/1.0", "POST /fraud/invocations HTTP/1.0", "Content-Length: 2\r\n"),
        ("unknown version", "POST /fraud/invocations HTTP/3.7", "Host: x\r\nContent-Length: 2\r\n"),
        ("absolute address", "POST http://[::bad/fraud/invocations HTTP/1.1", "Host: x\r\nContent-Length: 2\r\n"),
    ],
)
def test_f65_old_and_broken_request_lines(platform: Any, fraud: Any, case: str, request_line: str, fields: str) -> None:
    answer = platform.raw(f"{request_line}\r\n{fields}\r\n{{}}".encode())
    assert status_of(answer) in (0, 400, 401, 426, 505), answer
    assert not fraud.requests


def test_f64_a_body_in_tiny_chunks_reaches_the_pod_in_one_piece(platform: Any, fraud: Any, head: str) -> None:
    body = b'{"inputs": [%s1]}' % (b" " * 20_000)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head_bytes = f"POST {INVOKE} HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode()
    assert status_of(platform.raw(head_bytes + chunks)) == 200
    seen = fraud.requests[-1]
    assert seen.headers["content-length"] == str(len(body))
    assert seen.body == body


def test_f72_the_largest_body_passes_and_one_byte_more_is_413(platform: Any, fraud: Any, head: str) -> None:
    limit = platform.options.body_bytes
    assert platform.request(INVOKE, body=b" " * limit).status == 200
    assert len(fraud.requests[-1].body) == limit
    fraud.requests.clear()
    announced = platform.raw(f"POST {INVOKE} HTTP/1.1\r\n{head}Content-Length: {limit + 1}\r\n\r\n".encode())
    assert status_of(announced) == 413, "refused by its length, before it is sent"
    with platform.connect() as connection:
        connection.sendall(f"POST {INVOKE} HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(17):
                connection.sendall(chunk)
        except OSError:
            pass
        answer = connection.recv(4096)
    assert status_of(answer) == 413
    assert json.loads(answer.split(b"\r\n\r\n")[1])["error_code"] == "REQUEST_TOO_LARGE"
    assert not fraud.requests


def test_f76_expect_continue_is_answered(platform: Any, fraud: Any, head: str) -> None:
    answer = platform.raw(
        f"POST {INVOKE} HTTP/1.1\r\n{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    )
    assert status_of(answer) in (100, 200)


@pytest.mark.parametrize(
    "request_line",
    [
        f"GET {INVOKE} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a",
        "GET /fraud/v1/realtime HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket",
        f"POST {INVOKE} HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: something/2\r\nContent-Length: 0",
        "CONNECT pods.internal:443 HTTP/1.1",
        "CONNECT 10.0.0.1:8080 HTTP/1.1",
    ],
)
def test_f77_other_protocols_and_tunnels_are_426(platform: Any, fraud: Any, head: str, request_line: str) -> None:
    answer = platform.raw(f"{request_line}\r\n{head}\r\n".encode())
    assert status_of(answer) == 426, answer
    assert b"Protocol upgrades are not served." in answer
    assert not fraud.requests


def test_an_upgrade_that_no_connection_names_is_an_ordinary_header(platform: Any, fraud: Any, head: str) -> None:
    answer = platform.raw(
        f"POST {INVOKE} HTTP/1.1\r\n{head}Upgrade: websocket\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    )
    assert status_of(answer) == 200
    assert "upgrade" not in fraud.requests[0].headers


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\r\n", "\n"),
        ("HTTP/1.1\r\n", "HTTP/1.1\n"),
        ("X-A: b\r\n", "X-A: b\n"),
        ("POST /", "POST\t/"),
        ("POST /", "POST   /"),
        (" HTTP/1.1", "\tHTTP/1.1"),
        ("X-A: b", "X-A: b\r"),
        ("X-A: b", "X-A: \rb"),
    ],
)
def test_what_envoy_reads_leniently_goes_on_in_one_form(
    platform: Any, fraud: Any, head: str, old: str, new: str
) -> None:
    """Its parser cannot be made stricter (docs/routing.md); what matters is that nobody behind it reads it again."""
    good = f"POST {INVOKE} HTTP/1.1\r\n{head}X-A: b\r\nContent-Length: 2\r\n\r\n{{}}"
    status = status_of(platform.raw(good.replace(old, new).encode()))
    assert status in (200, 400)
    assert len(fraud.requests) == (status == 200)
    for seen in fraud.requests:
        assert (seen.method, seen.path, seen.body) == ("POST", "/invocations", b"{}")
        assert seen.headers["x-a"] == "b"


@pytest.mark.parametrize("fold", ["\r\n ", "\r\n\t", "\r\n  \t "])
def test_a_folded_header_goes_on_as_one_line_and_hides_no_other(
    platform: Any, fraud: Any, head: str, fold: str
) -> None:
    fields = f"X-A: b{fold}X-Headrace-Subject: mallory\r\nContent-Length: 2\r\n\r\n{{}}"
    answer = platform.raw(f"POST {INVOKE} HTTP/1.1\r\n{head}{fields}".encode())
    assert status_of(answer) in (200, 400)
    for seen in fraud.requests:
        assert seen.headers["x-headrace-subject"] == "alice"
        assert seen.headers["x-a"].split() == ["b", "X-Headrace-Subject:", "mallory"]


@pytest.mark.parametrize("byte", ["\x00", "\x01", "\x0b", "\x7f"])
@pytest.mark.parametrize("place", ["X-A: b{}c\r\n", "X-A{}: b\r\n", "X{}A: b\r\n"])
def test_control_characters_in_headers_are_400(platform: Any, fraud: Any, head: str, place: str, byte: str) -> None:
    fields = f"{place.format(byte)}Content-Length: 2\r\n\r\n{{}}"
    assert status_of(platform.raw(f"POST {INVOKE} HTTP/1.1\r\n{head}{fields}".encode())) == 400
    assert not fraud.requests


def test_f70_plain_bytes_on_the_tls_port_get_nothing(platform: Any, fraud: Any) -> None:
    with socket.create_connection(("127.0.0.1", platform.options.pop_port), timeout=5) as plain:
        plain.sendall(b"POST /fraud/invocations HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            received = plain.recv(100)
        except ConnectionResetError:
            received = b""
    assert not received.startswith(b"HTTP")


@pytest.mark.parametrize(
    ("newest", "admitted"), [(ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)], ids=["1.2", "1.1"]
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_clients_of_old_tls_are_refused_by_the_proxy(
    platform: Any, fraud: Any, newest: ssl.TLSVersion, admitted: bool
) -> None:
    context = ssl.create_default_context(cafile=str(platform.ca_file))
    context.minimum_version = context.maximum_version = newest
    context.set_ciphers("DEFAULT@SECLEVEL=0")  # this client would else refuse 1.1 itself
    with socket.create_connection(("127.0.0.1", platform.options.pop_port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as client:
                outcome = client.version() or ""
        except ssl.SSLError as error:
            outcome = error.reason
    assert outcome == ("TLSv1.2" if admitted else "TLSV1_ALERT_PROTOCOL_VERSION")


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/absent/invocations", {"error_code", "message"}),
        ("/serving-endpoints/absent/invocations", {"error_code", "message"}),
        ("/serving-endpoints/absent/v2/models/m/infer", {"error"}),
        ("/v2/health/ready", {"error"}),
        ("/absent/v2", {"error"}),
        ("/absent/v1/chat/completions", {"error"}),
        ("/serving-endpoints/chat/completions", {"error"}),
        ("/v1/models", {"error"}),
    ],
)
@pytest.mark.parametrize("token", ["", None])
def test_refusals_speak_the_dialect_of_the_path(
    platform: Any, fraud: Any, path: str, shape: set[str], token: str | None
) -> None:
    document = platform.request(path, token=token).json()
    assert set(document) == shape
    if "v1" in path or "chat" in path:
        assert document["error"]["code"] == ("resource_does_not_exist" if token is None else "unauthenticated")
        assert document["error"]["message"]
    elif "v2" in path:
        assert isinstance(document["error"], str)


DIALECTS = {
    frozenset({"error_code", "message"}): ["invocations", "invocations/", "invocations?a=/v2/b"],
    "a text": ["v2", "v2/", "v2/models/m/infer", "v2/models/m/versions/v1/infer", "v2/health/ready?a=b"],
    "a document": ["v1/models", "v1/chat/completions", "v1/embeddings?x=/v2"],
}
"""How a refusal is written, and the paths below an endpoint's address that get it."""


def written(document: dict[str, Any]) -> Any:
    """Which of DIALECTS it is."""
    error = document.get("error")
    return frozenset(document) if error is None else "a text" if isinstance(error, str) else "a document"


@pytest.mark.parametrize("name", ["fraud", "v1", "v2", "served-models", "serving-endpoints"])
@pytest.mark.parametrize("version", [None, "v1", "v2", "absent"])
def test_no_name_of_an_endpoint_or_a_version_changes_the_dialect(
    platform: Any, make_endpoint: Any, make_version: Any, name: str, version: str | None
) -> None:
    """The proxies rewrite paths, and an endpoint or a version may be called like a protocol."""
    platform.publish(make_endpoint(name, make_version("v1", 100), make_version("v2", 0)), pods={})
    address = f"/serving-endpoints/{name}" + ("" if version is None else f"/served-models/{version}")

    for dialect, paths in DIALECTS.items():
        for path in paths:
            answer = platform.request(f"{address}/{path}")
            assert answer.status == (404 if version == "absent" else 503), path
            assert written(answer.json()) == dialect, path
            refused = platform.request(f"{address}/{path}", token="")
            assert (refused.status, written(refused.json())) == (401, dialect), path
