"""The controller's port."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from headrace.autoscaler import telemetry
from headrace.autoscaler.pages import targets_page, wake_page
from headrace.contract.errors import TemporaryError
from headrace.machinery.port import Port


class _Desk:
    def __init__(self) -> None:
        self.well = True
        self.calls: list[tuple[str, str]] = []

    def verdict(self) -> tuple[bool, str]:
        return self.well, "as asked"

    def wake(self, key: tuple[str, str]) -> bool:
        if key[1] == "away":
            raise TemporaryError("API server cannot be reached")
        self.calls.append(key)
        return key[1] == "v1"

    def targets(self, job: str) -> list[dict[str, object]] | None:
        if not self.well:
            raise TemporaryError("pods are not known yet")
        return [{"targets": ["10.0.0.1:8002"], "labels": {"pod": "a"}}] if job == "models" else None


@pytest.fixture
def desk() -> Iterator[tuple[_Desk, str]]:
    found = _Desk()
    port = Port(
        0,
        alive=found.verdict,
        ready=found.verdict,
        registry=telemetry.registry,
        get=targets_page(found.targets),
        post=wake_page(found.wake),
    )
    port.start()
    yield found, f"http://127.0.0.1:{port.number}"
    port.stop()


def _status(url: str, *, post: bool = False) -> int:
    request = urllib.request.Request(url, data=b"" if post else None)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_wake_up_call_is_accepted_refused_or_put_off(desk: tuple[_Desk, str]) -> None:
    found, url = desk

    assert _status(f"{url}/wake/endpoint-fraud/v1", post=True) == 202
    assert found.calls == [("endpoint-fraud", "v1")]
    assert _status(f"{url}/wake/endpoint-fraud/v9", post=True) == 404
    assert _status(f"{url}/wake/endpoint-fraud/away", post=True) == 503
    assert _status(f"{url}/wake/endpoint-fraud", post=True) == 404
    assert _status(f"{url}/wake/endpoint-fraud/v1") == 404


@pytest.mark.parametrize("length", ["many", "-1", "99999999"])
def test_a_body_that_is_none_is_refused_and_the_port_lives_on(desk: tuple[_Desk, str], length: str) -> None:
    _, url = desk
    request = urllib.request.Request(f"{url}/wake/endpoint-fraud/v1", headers={"content-length": length}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)

    assert caught.value.code == 400
    assert _status(f"{url}/healthz") == 200


def test_health_is_what_the_loop_says(desk: tuple[_Desk, str]) -> None:
    found, url = desk
    assert [_status(f"{url}/{path}") for path in ("healthz", "readyz", "metrics", "nothing")] == [200, 200, 200, 404]

    found.well = False
    assert [_status(f"{url}/{path}") for path in ("healthz", "readyz", "metrics")] == [503, 503, 200]


def test_prometheus_is_told_what_to_scrape_and_nothing_rather_than_that_nothing_is_there(
    desk: tuple[_Desk, str],
) -> None:
    found, url = desk

    with urllib.request.urlopen(f"{url}/targets/models", timeout=5) as response:
        assert response.headers["content-type"] == "application/json"
        assert json.load(response) == [{"targets": ["10.0.0.1:8002"], "labels": {"pod": "a"}}]
    assert _status(f"{url}/targets/unheard-of") == 404
    found.well = False
    assert _status(f"{url}/targets/models") == 503
