"""The way to the console through a real PopProxy: a browser's cookie counts there, and nowhere else."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from headrace.contract import console, names
from headrace.routing.snapshot import PodAddress

pytestmark = pytest.mark.slow


class Echo(BaseHTTPRequestHandler):
    """Stands in for the console: tells what came."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        told = {key.lower(): value for key, value in self.headers.items()}
        text = json.dumps({"path": self.path, "method": self.command, "headers": told, "size": len(body)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def shown(platform: Any) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    platform.publish_world(consoles=(PodAddress("127.0.0.1", server.server_address[1]),))
    yield platform
    platform.publish_world(consoles=())
    server.shutdown()
    server.server_close()


def cookie(token: str) -> dict[str, str]:
    return {"cookie": f"theme=dark; {console.COOKIE}={token}"}


def ask(platform: Any, path: str, token: str | None, *, method: str = "GET", body: bytes | None = None) -> Any:
    """With the token in the cookie and in no header."""
    headers = {} if token is None else cookie(token)
    return platform.request(path, method=method, token="", headers=headers, body=body)


def test_a_cookie_with_a_good_token_is_let_in_and_its_subject_is_told(shown: Any) -> None:
    answer = ask(shown, "/console/endpoints/fraud?x=1", shown.signer.token(sub="alice"))

    assert answer.status == 200, answer.body
    assert answer.json()["path"] == "/console/endpoints/fraud?x=1"
    assert answer.json()["headers"][names.SUBJECT_HEADER] == "alice"
    posted = ask(shown, "/console/endpoints/fraud/try", shown.signer.token(sub="bob"), method="POST", body=b"a=1")
    assert (posted.json()["headers"][names.SUBJECT_HEADER], posted.json()["size"]) == ("bob", 3)
    scripted = shown.request("/console/", method="GET", body=None)
    assert scripted.status == 200, "a header is as good"


def test_who_has_no_good_token_is_led_to_the_login(shown: Any) -> None:
    now = 1_700_000_000
    tokens = (
        None, "", "garbage", shown.signer.token(aud="other"), shown.signer.token(iat=now, exp=now + 60),
        type(shown.signer)(kid=shown.signer.kid).token(),
    )  # fmt: skip
    for token in tokens:
        for path in ("/console", "/console/", "/console/endpoints/fraud"):
            answer = ask(shown, path, token)
            assert (answer.status, answer.headers.get("location")) == (303, "/console/login"), (token, answer.body)
            assert answer.headers["www-authenticate"] == 'Bearer realm="headrace"', "no path, which may hold secrets"


def test_the_login_and_what_it_looks_like_need_no_token_and_tell_no_subject(shown: Any) -> None:
    for path in ("/console/login", "/console/static/console.css?v=1"):
        answer = shown.request(path, method="GET", token="", body=None, headers={names.SUBJECT_HEADER: "mallory"})
        assert answer.status == 200
        assert names.SUBJECT_HEADER not in answer.json()["headers"]
    for path in ("/console/static/../endpoints/fraud", "/console/endpoints/login", "/console/static/a/b"):
        assert ask(shown, path, None).status == 303


def test_a_cookie_counts_for_the_console_alone(shown: Any, make_endpoint: Any) -> None:
    server = shown.server("fraud")
    shown.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    for path in ("/serving-endpoints/fraud/invocations", "/fraud/invocations"):
        assert shown.request(path, token="", headers=cookie(shown.signer.token())).status == 401, path
    assert shown.request("/v1/models", method="GET", token="", headers=cookie(shown.signer.token())).status == 401
    assert not server.requests


def test_forms_are_small_and_other_methods_are_refused(shown: Any) -> None:
    token = shown.signer.token()
    large = ask(shown, "/console/endpoints/fraud/try", token, method="POST", body=b"x" * (console.FORM_BYTES + 1))
    assert large.status == 413
    for method in ("PUT", "DELETE", "PATCH"):
        answer = shown.request("/console/", method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


def test_an_endpoint_may_be_called_console(shown: Any, make_endpoint: Any) -> None:
    server = shown.server("console")
    shown.publish(make_endpoint("console"), pods={("console", "v1"): (server,)})
    assert shown.request("/console/invocations").status == 200
    assert ask(shown, "/console/invocations", shown.signer.token(), method="POST", body=b"{}").status == 401
    assert ask(shown, "/console/", shown.signer.token()).json()["path"] == "/console/"


def test_a_console_that_is_not_there_says_so(platform: Any) -> None:
    answer = ask(platform, "/console/", platform.signer.token())

    assert answer.status == 503
    assert "The console could not be reached" in answer.json()["message"]
