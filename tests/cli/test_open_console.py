"""`headrace open`: the console's address, opened or printed, and how to log in."""

import json
import webbrowser

import pytest
from cluster_view import ClusterView, endpoint

from headrace.contract import names

CONFIG_MAP = f"/api/v1/namespaces/{names.SYSTEM_NAMESPACE}/configmaps/{names.PLATFORM_CONFIG_MAP}"


@pytest.fixture(autouse=True)
def platform(view: ClusterView) -> None:
    view.has(endpoint())
    data = {names.PLATFORM_URL_KEY: "https://models.example.com", names.CA_KEY: "an authority"}
    view.server.documents[CONFIG_MAP] = {"data": data}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a browser was asked to open."""
    found: list[str] = []

    def browse(address: str) -> bool:
        found.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    return found


def test_a_browser_opens_an_endpoints_page(view: ClusterView, opened: list[str]) -> None:
    done = view.run("open", "fraud")

    assert (done.exit_code, done.stdout) == (0, "")
    assert opened == ["https://models.example.com/console/endpoints/fraud"]
    assert "`kubectl create token NAME --audience headrace` prints a token" in done.stderr
    assert "ca.crt of the ConfigMap headrace-system/platform" in done.stderr


def test_the_address_is_printed_where_that_is_asked_or_nothing_opens(
    view: ClusterView, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert view.run("open", "--print").stdout == "https://models.example.com/console/\n"
    assert json.loads(view.run("open", "--json").stdout)["url"] == "https://models.example.com/console/"
    assert opened == []

    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert view.run("open").stdout == "https://models.example.com/console/\n"


def test_an_endpoint_that_is_not_there_is_not_opened(view: ClusterView, opened: list[str]) -> None:
    done = view.run("open", "froud")

    assert (done.exit_code, opened) == (2, [])
    assert "there are fraud" in done.stderr
