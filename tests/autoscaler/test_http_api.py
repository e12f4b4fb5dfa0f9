"""The controller's port."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from headrace.autoscaler import telemetry
from headrace.autoscaler.http_api import targets_page
from headrace.contract.errors import TemporaryError
from headrace.kube.admin_server import AdminServer


class _Loop:
    def __init__(self) -> None:
        self.well = True

    def verdict(self) -> tuple[bool, str]:
        return self.well, "as asked"

    def targets(self, job: str) -> list[dict[str, object]] | None:
        if not self.well:
            raise TemporaryError("pods are not known yet")
        return [{"targets": ["10.0.0.1:8002"], "labels": {"pod": "a"}}] if job == "models" else None


@pytest.fixture
def served() -> Iterator[tuple[_Loop, str]]:
    """A loop that knows its pods until it is told otherwise, and the address of its port."""
    found = _Loop()
    server = AdminServer(
        0, alive=found.verdict, ready=found.verdict, registry=telemetry.registry, get=targets_page(found.targets)
    )
    server.start()
    yield found, f"http://127.0.0.1:{server.port}"
    server.stop()


def _status(url: str, *, method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_health_is_what_the_loop_says(served: tuple[_Loop, str]) -> None:
    found, url = served
    assert [_status(f"{url}/{path}") for path in ("healthz", "readyz", "metrics", "nothing")] == [200, 200, 200, 404]

    found.well = False
    assert [_status(f"{url}/{path}") for path in ("healthz", "readyz", "metrics")] == [503, 503, 200]


def test_nothing_can_be_changed_over_it(served: tuple[_Loop, str]) -> None:
    _, url = served

    assert {_status(f"{url}/{path}", method="POST") for path in ("wake/endpoint-fraud/v1", "healthz")} == {501}


def test_prometheus_is_told_what_to_scrape_and_nothing_rather_than_that_nothing_is_there(
    served: tuple[_Loop, str],
) -> None:
    found, url = served

    with urllib.request.urlopen(f"{url}/targets/models", timeout=5) as response:
        assert response.headers["content-type"] == "application/json"
        assert json.load(response) == [{"targets": ["10.0.0.1:8002"], "labels": {"pod": "a"}}]
    assert _status(f"{url}/targets/unheard-of") == 404
    found.well = False
    assert _status(f"{url}/targets/models") == 503
