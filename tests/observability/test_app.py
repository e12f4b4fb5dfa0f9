"""The console in a real browser over made objects: what a person sees, on a phone, in the dark, with a keyboard."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from browser import DESK, PHONE, chromium, first_paint_ms, until, violations
from playwright.sync_api import Browser, Page

from headrace.contract import console, names
from headrace.observability.console.pages import STATIC
from tests.observability import console_stage
from tests.observability.console_stage import HOSTILE, MadeEndpoints, MadePop, item_of, row, scaler_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def opened(browser: Browser, address: str, path: str, *, said: list[str] | None = None, **context: Any) -> Page:
    """A page as alice sees it; `said` gets what the browser complains of, which nothing may make it do."""
    window = browser.new_context(extra_http_headers={names.SUBJECT_HEADER: "alice"}, **{"viewport": DESK, **context})
    page = window.new_page()
    if said is not None:
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
    page.context.add_cookies([{"name": "plain", "value": "x", "url": address}])
    page.goto(f"{address}{path}")
    return page


def test_pages_keep_wcag_aa_in_light_and_dark_on_desk_and_phone(browser: Browser) -> None:
    budget = {"podCostPerHour": 0.25, "currency": "EUR", "priceSource": "1 x l4; contract of 2026"}
    scalers = tuple(scaler_of("fraud", version, budget=budget) for version in ("v1", "v2"))
    endpoints = MadeEndpoints(item_of("fraud", versions=2), scalers=scalers)
    paths = (
        "/console/login", "/console/", "/console/endpoints/fraud", "/console/endpoints/fraud/compare",
        "/console/endpoints/fraud/try", "/console/platform", "/console/endpoints/none",
    )  # fmt: skip
    said: list[str] = []
    with console_stage.served(console_stage.sources(endpoints)) as address:
        for scheme, viewport in (("light", DESK), ("dark", PHONE)):
            for path in paths if scheme == "light" else paths[:3]:
                page = opened(browser, address, path, said=said, color_scheme=scheme, viewport=viewport)
                if path == "/console/endpoints/fraud":
                    page.wait_for_selector("#plots[data-shown]")
                    page.locator("#rows summary").click()
                    assert "1.00 EUR" in page.get_by_role("region", name="Cost an hour").inner_text()
                assert violations(page) == [], (path, scheme)
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{path} scrolls sideways on {viewport}"
                page.context.close()
    assert [each for each in said if "404" not in each and "503" not in each] == []


def test_an_endpoint_is_found_and_a_request_is_tried_by_keyboard_alone(browser: Browser) -> None:
    pop = MadePop()
    endpoints = MadeEndpoints(item_of("churn"), item_of("fraud"), scalers=(scaler_of("fraud"),))
    with console_stage.served(console_stage.sources(endpoints, pop)) as address:
        page = opened(browser, address, "/console/")
        page.context.add_cookies(
            [{"name": console.COOKIE, "value": "a.b.c", "url": address.replace("http:", "https:"), "secure": True}]
        )
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.locator("#q").focus()
        page.keyboard.type("fra")
        until(page, "!document.getElementById('endpoints').textContent.includes('churn')")
        page.locator("#endpoints a").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/endpoints/fraud")
        page.wait_for_selector("#plots[data-shown] canvas")
        assert page.locator("#plots figure").count() == 6
        page.locator("#try-form a").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#body")
        page.locator("form:has(#body) button").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#answer pre")
        assert "trace-7" in page.locator("#answer").inner_text()
        assert pop.asked[0][0] == "fraud"
        page.context.close()


def test_hostile_payloads_are_text_in_a_browser(browser: Browser) -> None:
    pop = MadePop()
    pop.text = HOSTILE
    rows = [row("alice", request=HOSTILE, response=HOSTILE, path=HOSTILE, trace_id=HOSTILE)]
    made = console_stage.sources(MadeEndpoints(item_of("fraud")), pop, rows=lambda *_, **__: rows)
    with console_stage.served(made) as address:
        page = opened(browser, address, "/console/endpoints/fraud")
        page.locator("#rows summary").click()
        assert HOSTILE in page.locator("#rows").inner_text()
        assert page.locator("#rows img").count() == 0
        page.wait_for_timeout(6000)  # longer than what renews itself waits
        assert page.locator("#rows details[open]").count() == 1, "nothing closes while it is read"
        assert page.title() == "fraud · Headrace"
        page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
        assert page.evaluate("window.ran") is None, "the policy runs no script that is in a page"
        page.context.close()


def test_a_thousand_endpoints_are_shown_within_a_second(browser: Browser) -> None:
    many = [item_of(f"model-{number:04}") for number in range(1000)]
    endpoints = MadeEndpoints(*many, scalers=tuple(scaler_of(item["metadata"]["name"]) for item in many))
    with console_stage.served(console_stage.sources(endpoints)) as address:
        page = opened(browser, address, "/console/")
        took = []
        for _ in range(3):
            page.reload()
            loaded = "performance.getEntriesByType('navigation')[0].loadEventEnd"
            until(page, f"{loaded} > 0")
            took.append(max(float(page.evaluate(loaded)), first_paint_ms(page)))
        assert "1–100 of 1000" in page.locator("#endpoints").inner_text()
        page.get_by_role("link", name="After").click()
        page.wait_for_url("**from=100")
        assert page.locator("#endpoints tbody th").first.inner_text() == "model-0100"
        page.locator("#q").fill("model-0999")
        until(page, "document.querySelectorAll('#endpoints tbody tr').length == 1")
        page.context.close()
    assert min(took) <= 1000, took


def test_what_browsers_load_is_what_came_from_the_packages() -> None:
    told = (STATIC / "LICENSES.txt").read_text()
    sums = dict(reversed(line.split()) for line in re.findall(r"^[0-9a-f]{64}  \S+$", told, re.MULTILINE))

    assert sums.keys() == {path.name for path in STATIC.iterdir() if path.name.startswith(("htmx", "uplot"))}
    for name, digest in sums.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
