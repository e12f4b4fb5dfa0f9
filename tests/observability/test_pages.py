"""Pages: each caller sees what it may call; what others wrote is shown as text; forms of other sites do nothing."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from starlette.testclient import TestClient

from headrace.contract import console, names
from headrace.contract.caller import listed_group
from headrace.contract.errors import TemporaryError
from headrace.observability.console.app import application
from headrace.observability.console.pages import Pages, routed
from tests.observability import console_stage
from tests.observability.console_stage import HOSTILE, MadeEndpoints, MadePop, item_of, row, scaler_of

BUDGET = {"podCostPerHour": 0.25, "currency": "EUR", "priceSource": "1 x l4; contract of 2026"}
FORM = {"sec-fetch-site": "same-origin"}


def rollout(phase: str = "Progressing") -> dict[str, Any]:
    gate = {
        "name": "errors", "verdict": "Open", "requests": 40, "percent": 2.5, "formerRequests": 400,
        "formerPercent": 1.0, "pValue": 0.31,
    }  # fmt: skip
    return {
        "version": "v2", "former": "v1", "phase": phase, "weight": 5, "reason": "Steps", "message": "5 % for now.",
        "gates": [gate],
    }  # fmt: skip


@pytest.fixture
def pop() -> MadePop:
    return MadePop()


@pytest.fixture
def client(pop: MadePop) -> Callable[..., TestClient]:
    endpoints = MadeEndpoints(
        item_of("fraud", subjects=("alice",), versions=2, rollout=rollout()),
        item_of("open"),
        item_of("secret", subjects=("bob",), groups=("corp:risk team",)),
        scalers=(scaler_of("fraud", budget=BUDGET, maxReplicas=40), scaler_of("open")),
    )

    def made(
        subject: str = "alice",
        *,
        token: str = "alice-token",
        clock: Callable[[], float] = time.monotonic,
        **changed: Any,
    ) -> TestClient:
        made = console_stage.sources(endpoints, pop, **changed)
        app = application(Pages(made, now=lambda: console_stage.NOW, clock=clock))
        found = TestClient(app, base_url="https://models.example", follow_redirects=False)
        if subject:
            found.headers[names.SUBJECT_HEADER] = subject
        if token:
            found.cookies.set(console.COOKIE, token, domain="models.example", path=console.ROOT)
        return found

    return made


def test_a_caller_sees_the_endpoints_that_it_may_call(client: Callable[..., TestClient]) -> None:
    seen = client("alice").get("/console/").text

    assert "/console/endpoints/fraud" in seen
    assert "/console/endpoints/open" in seen
    assert "secret" not in seen
    assert "Progressing 5 %" in seen
    assert "ScaleUp" in seen
    assert '<th scope="col" class="number">Cost an hour</th>' in seen
    assert ">0.50 EUR</td>" in seen
    assert ">–</td>" in seen, "of an endpoint without prices nothing is told"
    assert "/console/endpoints/open" not in client("alice").get("/console/?q=fra").text


def test_a_member_of_a_listed_group_sees_the_endpoint_and_its_own_rows(client: Callable[..., TestClient]) -> None:
    asked: list[str] = []

    def rows(endpoint: str, *, requester: str, most: int) -> list[Any]:
        del endpoint, most
        asked.append(requester)
        return []

    member, other = client("corp:eve", rows=rows), client("corp:eve", rows=rows)
    member.headers[names.GROUPS_HEADER] = listed_group("corp:risk team")
    other.headers[names.GROUPS_HEADER] = listed_group("risk team")

    assert "/console/endpoints/secret" in member.get("/console/").text
    assert member.get("/console/endpoints/secret").status_code == 200
    assert member.get("/console/endpoints/secret/rows").status_code == 200
    assert asked == ["corp:eve"]
    assert "secret" not in other.get("/console/").text
    assert other.get("/console/endpoints/secret/rows").status_code == 404


@pytest.mark.parametrize("path", ["", "/history", "/rows", "/try", "/compare"])
def test_what_a_caller_may_not_call_does_not_exist_for_it(client: Callable[..., TestClient], path: str) -> None:
    hidden, unknown = (client("alice").get(f"/console/endpoints/{name}{path}") for name in ("secret", "nobody"))

    assert hidden.status_code == unknown.status_code == 404
    assert hidden.text.replace("secret", "nobody") == unknown.text
    tried = client("alice").post("/console/endpoints/secret/try", data={"body": "{}"}, headers=FORM)
    assert tried.status_code == 404


def test_nobody_gets_past_the_login_without_a_subject(client: Callable[..., TestClient], pop: MadePop) -> None:
    stranger = client("")
    pages = [
        (method, path.replace("{name}", "open"))
        for method, path, _ in routed(Pages(console_stage.sources(MadeEndpoints())))
        if path not in (console.LOGIN_PATH, console.LOGOUT_PATH)
    ]

    for method, path in pages:
        answer = stranger.request(method, path, headers=FORM)
        assert answer.status_code == 401, path
        assert "breast" not in answer.text
    assert pop.asked == []


def test_a_token_becomes_a_cookie_that_no_script_reads_and_no_other_site_sends(
    client: Callable[..., TestClient],
) -> None:
    answer = client("", token="").post("/console/login", data={"token": " Bearer a.b.c\n"}, headers=FORM)

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    name, *parts = answer.headers["set-cookie"].split("; ")
    assert name == f"{console.COOKIE}=a.b.c"
    assert {part.lower() for part in parts} == {"path=/console", "secure", "httponly", "samesite=strict"}
    assert "is refused" in client("").get("/console/login").text, "who has a cookie and comes back hears why"
    assert "is refused" not in client("", token="").get("/console/login").text
    gone = client().post("/console/logout", headers=FORM)
    assert "max-age=0" in gone.headers["set-cookie"].lower()


@pytest.mark.parametrize("token", ["", "a b", "a;path=/", "a\r\nset-cookie: x=y", 'a"b', "é"])
def test_what_is_no_token_becomes_no_cookie(client: Callable[..., TestClient], token: str) -> None:
    answer = client("", token="").post("/console/login", data={"token": token}, headers=FORM)

    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}])
@pytest.mark.parametrize("path", ["/console/login", "/console/logout", "/console/endpoints/open/try"])
def test_a_form_of_another_site_does_nothing(
    client: Callable[..., TestClient], pop: MadePop, path: str, headers: Mapping[str, str]
) -> None:
    answer = client().post(path, data={"token": "a.b.c", "body": "{}"}, headers=headers)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert pop.asked == []


def test_a_request_is_tried_with_the_caller_s_own_token(client: Callable[..., TestClient], pop: MadePop) -> None:
    form = client().get("/console/endpoints/fraud/try").text
    assert "&#34;columns&#34;" in form
    assert "country" in form

    sent = {"body": '{"inputs": [1]}', "version": "v2"}
    answer = client().post("/console/endpoints/fraud/try", data=sent, headers=FORM)

    assert pop.asked == [("fraud", b'{"inputs": [1]}', "alice-token", "v2")]
    assert all(word in answer.text for word in ("from v2", "trace-7", "request-7"))
    wrong = client().post("/console/endpoints/fraud/try", data={"body": "{}", "version": "../v1"}, headers=FORM)
    assert wrong.status_code == 400
    assert len(pop.asked) == 1


def test_payloads_and_names_of_others_are_text(client: Callable[..., TestClient], pop: MadePop) -> None:
    pop.text = HOSTILE
    rows = {"rows": lambda *_, **__: [row("alice", request=HOSTILE, response=HOSTILE, trace_id=HOSTILE)]}
    shown = [
        client(**rows).get("/console/endpoints/open/rows"),
        client(HOSTILE.encode("ascii").decode(), **rows).get("/console/endpoints/open"),
        client().post("/console/endpoints/open/try", data={"body": HOSTILE}, headers=FORM),
        client().get("/console/", params={"q": HOSTILE}),
        client().get("/console/endpoints/%3Cscript%3E"),
    ]

    for page in shown:
        assert "<img" not in page.text
        assert "<script>" not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
    assert "&lt;script&gt;document.title" in shown[0].text


def test_rows_are_the_caller_s_own(client: Callable[..., TestClient]) -> None:
    asked: list[tuple[str, str]] = []

    def rows(endpoint: str, *, requester: str, most: int) -> list[dict[str, Any]]:
        asked.append((endpoint, requester))
        return [row(requester)]

    page = client("alice", rows=rows).get("/console/endpoints/open/rows?requester=bob").text

    assert asked == [("open", "alice")]
    assert "0af7651916cd43dd8448eb211c80319c" in page
    empty = client("alice", rows=lambda *_, **__: []).get("/console/endpoints/open/rows")
    assert "None of your requests" in empty.text


def test_a_trace_is_asked_for_its_caller_and_shown_as_bars(client: Callable[..., TestClient]) -> None:
    asked: list[tuple[str, str, str]] = []
    trace = "0af7651916cd43dd8448eb211c80319c"

    def spans(endpoint: str, trace_id: str, *, requester: str) -> list[dict[str, Any]]:
        asked.append((endpoint, trace_id, requester))
        known = {"parent_span_id": None, "service_name": "pop-proxy", "start_time_unix_nano": 0, "message": HOSTILE}
        return [{**known, "name": HOSTILE, "span_id": "1", "end_time_unix_nano": 10, "status": "STATUS_CODE_ERROR"}]

    of = client("alice", spans=spans)
    assert f"/console/endpoints/open/traces/{trace}" in of.get("/console/endpoints/open/rows").text
    page = of.get(f"/console/endpoints/open/traces/{trace}")

    assert asked == [("open", trace, "alice")]
    assert "<rect" in page.text
    assert "<script>document" not in page.text
    assert of.get("/console/endpoints/open/traces/elsewhere").text.count("No such trace is kept.") == 1
    without = client("alice", spans=None)
    assert "Show its trace" not in without.get("/console/endpoints/open/rows").text
    assert "No such trace is kept." in without.get(f"/console/endpoints/open/traces/{trace}").text


def test_versions_are_compared_by_load_proof_and_gates(client: Callable[..., TestClient]) -> None:
    page = client().get("/console/endpoints/fraud/compare?a=v1&b=v2").text

    assert "models:/fraud/2" in page
    assert "2.50 % of 40" in page
    assert "1.00 % of 400" in page
    assert client(history=None).get("/console/endpoints/fraud/compare").status_code == 200


def test_the_page_of_an_endpoint_tells_cost_and_decisions(client: Callable[..., TestClient]) -> None:
    page = client().get("/console/endpoints/fraud").text

    assert ">Cost an hour</h2>" in page
    assert "<dt>Now</dt><dd>0.50 EUR, " in page
    assert "<dt>At most</dt><dd>10.00 EUR, " in page
    assert "<dd>1 x l4; contract of 2026</dd>" in page
    assert "Cost an hour" not in client().get("/console/endpoints/open").text
    assert "9.1 requests want to be served at once" in page
    found = client().get("/console/endpoints/fraud/history").json()
    assert [plot["key"] for plot in found["plots"]] == ["pods", "concurrency", "limit", "rate", "latency", "errors"]
    assert found["decisions"][0]["replicas"] == 2
    assert "inputs" not in found["decisions"][0]


def test_a_source_that_is_away_costs_its_own_part(client: Callable[..., TestClient]) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise TemporaryError("the table writer does not answer")

    seen = client(rows=away, history=away, programs=away)
    assert seen.get("/console/endpoints/open").status_code == 200
    for path in ("/console/endpoints/open/rows", "/console/endpoints/open/history", "/console/platform"):
        answer = seen.get(path, headers={"hx-request": "true"})
        assert answer.status_code == 503
        assert "the table writer does not answer" in answer.text
        assert "<html" not in answer.text
    assert client(history=None).get("/console/endpoints/open/history").status_code == 404


def test_who_asks_too_often_is_told_to_wait(client: Callable[..., TestClient]) -> None:
    alice = client("alice", clock=lambda: 0.0)
    statuses = [alice.get("/console/").status_code for _ in range(51)]

    assert statuses == [200] * 50 + [429]


def test_the_platform_page_says_what_is_wrong(client: Callable[..., TestClient]) -> None:
    page = client().get("/console/platform").text

    assert "has no minimum availability" in page
    assert "1/2" in page


def test_what_browsers_keep_has_another_address_when_it_changes(client: Callable[..., TestClient]) -> None:
    page = client("", token="").get("/console/login")
    addresses = re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page.text)

    assert len(addresses) == 6
    for address in addresses:
        answer = client("", token="").get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert hashlib.sha256(answer.content).hexdigest().startswith(address.partition("?v=")[2])
    assert page.headers["cache-control"] == "no-store"
    assert client("", token="").get("/console/static/none.js").headers["cache-control"] == "no-store"
