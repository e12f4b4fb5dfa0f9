"""The console on the cluster, in a browser: the demo's endpoint with its request, its row and its trace, for those
who may see it.

With HEADRACE_UPDATE_DOCS it makes the pictures of docs/console.md, so that they show what people see.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from browser import DESK, PHONE, chromium, first_paint_ms, violations
from live_platform import Platform, eventually
from playwright.sync_api import Browser, BrowserContext, Locator, Page

from headrace.contract import console, names
from headrace.local import demo_identity, demo_model
from headrace.local.paths import CHECKOUT

PICTURES = CHECKOUT / "docs" / "pictures"
HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
STRANGER = "headrace-stranger"
FIRST_PAINT_MS = 300.0
PROXIES = (names.POP_PROXY, names.LOAD_BALANCER)


class Person:
    """Somebody with a browser and a token."""

    def __init__(self, browser: Browser, platform: Platform, token: str, **context: Any) -> None:
        # The demo's authority is private; that the certificate is right, every other story on the cluster checks.
        self.window: BrowserContext = browser.new_context(
            ignore_https_errors=True, **{"viewport": DESK, "color_scheme": "light", **context}
        )
        self.page: Page = self.window.new_page()
        self._url, self._token = str(platform.description["url"]), token

    def opens(self, path: str = f"{console.ROOT}/") -> Page:
        """A page."""
        self.page.goto(self._url + path)
        return self.page

    def logs_in(self) -> Page:
        """By the form, as people do."""
        page = self.opens()
        assert page.url == f"{self._url}{console.LOGIN_PATH}", "who has no token is led here"
        page.fill("#token", self._token)
        page.click("main button")
        return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def picture(page: Page, name: str) -> None:
    """Of what the window shows now, for the page about the console."""
    if os.environ.get("HEADRACE_UPDATE_DOCS"):
        page.screenshot(path=PICTURES / f"{name}.png")


def table_of(platform: Platform) -> None:
    if not platform.cluster.embedded:
        pytest.skip("the demo keeps tables on the embedded cluster alone")


def trace_of(page: Page, recorded: Locator) -> list[tuple[str, str]]:
    """Name and place of each span that the page of a row shows, asked for until the pod's last one is there."""
    link = recorded.get_by_role("link", name="Show its trace")
    address = page.url.partition("/console")[0] + str(link.get_attribute("href"))

    def shown() -> bool:
        return ">model<" in page.request.get(address).text()

    eventually(shown, seconds=40)  # the Collector judges a trace when it has ended; then comes a commit
    link.click()
    recorded.locator(".trace tbody tr").first.wait_for(timeout=10_000)
    lines = recorded.locator(".trace tbody tr").all()
    return [(line.locator("th").inner_text().strip(), line.locator("td").first.inner_text()) for line in lines]


def admit(platform: Platform, subjects: list[str] | None) -> None:
    """Who may call the demo's endpoint, as `allowed_subjects` writes it; None: every caller."""
    space = names.endpoint_namespace(demo_model.NAME)
    change = json.dumps({"spec": {"access": None if subjects is None else {"subjects": subjects}}})
    platform.kubectl("-n", space, "patch", "modelendpoint", demo_model.NAME, "--type=merge", "-p", change)


def test_the_demo_s_endpoint_is_shown_with_its_request_and_its_row(platform: Platform, browser: Browser) -> None:
    table_of(platform)
    person = Person(browser, platform, platform.description["token"])
    page = person.logs_in()
    [cookie] = [each for each in person.window.cookies() if each["name"] == console.COOKIE]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (
        True,
        True,
        "Strict",
        "/console",
    )
    row = page.locator("#endpoints tr", has_text=demo_model.NAME)
    assert "Ready" in row.inner_text()

    row.get_by_role("link").click()
    page.wait_for_selector("#plots[data-shown] canvas")
    cost = page.get_by_role("region", name="Cost an hour").inner_text()
    assert "USD" in cost
    assert "AWS on demand, us-east-1" in cost, "the table of prices that the preview had"
    page.get_by_role("link", name="Make one from the model").click()
    page.fill("#body", json.dumps(platform.model.request))
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector("#answer pre")
    answer = page.locator("#answer").inner_text()
    assert json.loads(page.locator("#answer pre").inner_text()) == {"predictions": platform.model.expected}
    request_id, trace_id = page.locator("#answer code").all_inner_texts()
    assert answer.startswith("200 from v1")

    recorded = page.locator("#rows li", has_text=request_id)  # htmx asks for it every five seconds
    recorded.wait_for(state="attached", timeout=30_000)
    assert trace_id in recorded.text_content()
    assert '"predictions"' in recorded.text_content()
    recorded.locator("summary").click()
    spans = trace_of(page, recorded)
    assert [(name, where) for name, where in spans if where in PROXIES] == [
        (f"POST {demo_model.NAME}", names.POP_PROXY), (f"POST {demo_model.NAME}", names.LOAD_BALANCER),
    ]  # fmt: skip
    assert [name for name, where in spans if where == demo_model.NAME] == ["request", "queue", "batch", "model"]
    assert violations(page) == []
    picture(page, "console-endpoint")
    person.window.close()


def test_a_hostile_payload_is_shown_as_text(platform: Platform, browser: Browser) -> None:
    table_of(platform)
    answer = platform.ask(HOSTILE.encode())
    assert answer.status == 400
    person = Person(browser, platform, platform.description["token"])
    page = person.logs_in()
    person.opens(f"{console.ROOT}/endpoints/{demo_model.NAME}")
    recorded = page.locator("#rows li", has_text=answer.headers["x-request-id"])
    recorded.wait_for(state="attached", timeout=30_000)

    assert HOSTILE in recorded.text_content()
    assert page.locator("#rows img, #rows script").count() == 0
    assert page.title() == f"{demo_model.NAME} · Headrace"
    person.window.close()


def test_pages_are_painted_at_once_on_a_phone_in_the_dark_too(platform: Platform, browser: Browser) -> None:
    person = Person(browser, platform, platform.description["token"], viewport=PHONE, color_scheme="dark")
    page = person.logs_in()
    paths = (f"{console.ROOT}/", f"{console.ROOT}/endpoints/{demo_model.NAME}", f"{console.ROOT}/platform")
    best = {path: min(first_paint_ms(person.opens(path)) for _ in range(3)) for path in paths}
    assert max(best.values()) <= FIRST_PAINT_MS, best
    assert "console" in person.opens(f"{console.ROOT}/platform").locator("main").inner_text()
    assert violations(page) == []
    picture(page, "console-phone")
    person.window.close()


def test_who_may_not_call_it_sees_nothing_of_it(platform: Platform, browser: Browser) -> None:
    subject = f"system:serviceaccount:{demo_identity.NAMESPACE}:{demo_identity.NAME}"
    space = ("-n", demo_identity.NAMESPACE)
    admit(platform, [subject])
    try:
        platform.kubectl(*space, "create", "serviceaccount", STRANGER)
        audience = ("--audience", names.TOKEN_AUDIENCE)
        token = platform.kubectl(*space, "create", "token", STRANGER, *audience).strip()
        person = Person(browser, platform, token)
        page = person.logs_in()
        here = f"{console.ROOT}/endpoints/{demo_model.NAME}"

        def seen() -> bool:
            return demo_model.NAME in person.opens().locator("main").inner_text()

        eventually(lambda: not seen(), seconds=20)
        for path in (here, f"{here}/rows", f"{here}/traces/{'0' * 32}", f"{here}/history", f"{here}/try"):
            answer = page.goto(platform.description["url"] + path)
            assert answer is not None
            assert answer.status == 404
            assert "models:/" not in page.content()
        own = Person(browser, platform, platform.description["token"])
        own.logs_in()
        assert demo_model.NAME in own.page.locator("main").inner_text()
        person.window.close()
        own.window.close()
    finally:
        platform.kubectl(*space, "delete", "serviceaccount", STRANGER, "--ignore-not-found")
        admit(platform, None)
