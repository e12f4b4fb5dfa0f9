"""HeldPage: what the autoscaler is told of requests that wait, and how soon."""

import json
import threading
import time

from headrace.kube.admin_server import NOT_FOUND
from headrace.routing.activator.held_page import HeldPage


def test_who_has_heard_all_waits_for_news() -> None:
    page, answers = HeldPage(), list[tuple[float, object]]()
    begun = time.monotonic()

    def ask() -> None:
        document = json.loads(page.get("/held/0").body)
        answers.append((time.monotonic() - begun, document))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.1)
    page.update({"fraud/v1": (1, 0.0)}, news=True)
    asking.join(5)
    [(seconds, document)] = answers
    assert document == {"sequence": 1, "held": {"fraud/v1": [1, 0.0]}}
    assert 0.1 <= seconds < 0.9


def test_who_has_not_is_answered_at_once() -> None:
    page = HeldPage()
    page.update({"fraud/v1": (2, 1.5)}, news=True)
    begun = time.monotonic()
    assert json.loads(page.get("/held/0").body)["sequence"] == 1
    assert time.monotonic() - begun < 0.5


def test_without_news_what_waits_is_told_within_a_second() -> None:
    page = HeldPage()
    page.update({"fraud/v1": (2, 1.5)}, news=False)
    assert json.loads(page.get("/held/0").body) == {"sequence": 0, "held": {"fraud/v1": [2, 1.5]}}


def test_other_paths_are_none_of_its_own() -> None:
    page = HeldPage()
    assert [page.get(path) for path in ("/held", "/held/x", "/other/0")] == [NOT_FOUND] * 3
