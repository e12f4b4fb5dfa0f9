"""A browser: Debian's Chromium without a window, driven by Playwright; and axe, which knows WCAG's rules."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from patience import eventually
from playwright.sync_api import Browser, Page, sync_playwright

from headrace.contract.errors import HeadraceError
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import packages

CHROMIUM: Final = packages.DebianPackage(name="chromium", command="chromium", reason="shows pages to tests")
_FONTS: Final = packages.DebianPackage(name="fonts-dejavu-core", command="dejavu", reason="writes on them")
"""Brings no command, so it is asked for with the browser."""
_ARGUMENTS: Final = [
    "--no-sandbox",  # which root may not have; it sees our own pages only
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
AXE: Final = Path(__file__).parent / "axe" / "axe-4.14.1.min.js"
"""npm axe-core 4.14.1, MPL-2.0; its licence is beside it."""
PHONE: Final = {"width": 390, "height": 844}
DESK: Final = {"width": 1280, "height": 900}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; skips the test where Chromium cannot be had."""
    try:
        if not packages.present(CHROMIUM):
            packages.ensure([CHROMIUM, _FONTS], Progress("test", steps=1))
    except HeadraceError as error:
        pytest.skip(f"no browser: {error}")
    with sync_playwright() as playwright:
        path = os.environ.get("HEADRACE_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def violations(page: Page) -> list[str]:
    """What breaks WCAG 2.2 at level AA, as axe finds it: rule and place."""
    # Through the debugger: the page's own rules would run no script that is not the console's.
    page.evaluate(AXE.read_text())
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", rules)
    return [
        f"{each['id']}: {node['target']}: {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def until(page: Page, expression: str) -> None:
    """Waits until it holds in the page. Playwright's own wait would evaluate a text there, which pages forbid."""
    eventually(lambda: page.evaluate(expression), expression, seconds=20)


def first_paint_ms(page: Page) -> float:
    """From the request for the page until something of it was painted, as the browser measures it."""
    until(page, "performance.getEntriesByName('first-contentful-paint').length > 0")
    return float(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
