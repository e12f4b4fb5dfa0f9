"""HeldRequests: what waits in the activators, heard at once."""

import threading
from collections.abc import Iterator

import pytest
from patience import eventually
from prometheus_client import CollectorRegistry

from headrace.autoscaler.held_requests import Held, HeldRequests
from headrace.kube.admin_server import NOT_FOUND, AdminServer
from headrace.routing.activator.held_page import HeldPage

KEY = ("endpoint-fraud", "v1")
gone: list[bool] = []
"""Not empty: the activator does not answer with its page."""


@pytest.fixture
def page() -> HeldPage:
    return HeldPage()


@pytest.fixture
def server(page: HeldPage) -> Iterator[AdminServer]:
    def well() -> tuple[bool, str]:
        return True, "well"

    server = AdminServer(
        0, alive=well, ready=well, registry=CollectorRegistry(), get=lambda path: NOT_FOUND if gone else page.get(path)
    )
    server.start()
    yield server
    gone.clear()
    server.stop()


def test_a_first_request_that_waits_is_heard_of_at_once(page: HeldPage, server: AdminServer) -> None:
    heard = threading.Event()
    held = HeldRequests(heard.set, port=server.port)
    held.follow({"activator-a": "127.0.0.1"})
    page.update({"fraud/v1": (1, 0.0)}, news=True)
    assert heard.wait(2)
    assert held.counts() == {KEY: Held(1, 0.0)}
    page.update({"fraud/v1": (9, 1.5)}, news=False)
    eventually(lambda: held.counts() == {KEY: Held(9, 1.5)}, "what waits is known")
    held.stop()


def test_what_waits_in_several_is_added_up(page: HeldPage, server: AdminServer) -> None:
    page.update({"fraud/v1": (2, 1.0)}, news=True)
    held = HeldRequests(port=server.port)
    held.follow({"a": "127.0.0.1", "b": "127.0.0.1"})
    eventually(lambda: held.counts() == {KEY: Held(4, 1.0)}, "both are heard")
    held.follow({"a": "127.0.0.1"})
    assert held.counts() == {KEY: Held(2, 1.0)}
    held.stop()


def test_of_one_that_does_not_answer_nothing_is_known(page: HeldPage, server: AdminServer) -> None:
    page.update({"fraud/v1": (2, 1.0)}, news=True)
    held = HeldRequests(port=server.port)
    held.follow({"a": "127.0.0.1"})
    eventually(lambda: bool(held.counts()), "it is heard")
    gone.append(True)
    eventually(lambda: not held.counts(), "nothing is known", seconds=10)
    held.stop()
