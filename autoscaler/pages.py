"""Pages: what the controller answers besides its health: /targets/<job> for Prometheus, and POST
/wake/<namespace>/<name> for whoever holds requests of no pod."""

import json
from collections.abc import Callable, Sequence

from headrace.contract import metrics
from headrace.contract.errors import TemporaryError
from headrace.machinery.api_server import Key
from headrace.machinery.port import NOT_FOUND, Answer, Page

TargetGroups = Sequence[dict[str, object]]
"""Of Prometheus' HTTP discovery: `targets` (host and port) with their `labels`."""


def targets_page(targets: Callable[[str], TargetGroups | None]) -> Page:
    """`targets` gives a job's, None for a job that is none, and raises TemporaryError while it cannot know."""

    def page(path: str) -> Answer:
        root, _, job = path.removeprefix("/").partition("/")
        if f"/{root}" != metrics.TARGETS_PATH:
            return NOT_FOUND
        try:
            groups = targets(job)
        except TemporaryError as error:
            return Answer(503, f"{error}\n".encode())
        return NOT_FOUND if groups is None else Answer(200, json.dumps(groups).encode(), "application/json")

    return page


def wake_page(wake: Callable[[Key], bool]) -> Page:
    """`wake` says whether there is such a version, and raises TemporaryError when the call could not be passed on."""

    def page(path: str) -> Answer:
        parts = path.strip("/").split("/")
        if len(parts) != 3 or f"/{parts[0]}" != metrics.WAKE_PATH:
            return NOT_FOUND
        try:
            known = wake((parts[1], parts[2]))
        except TemporaryError as error:
            return Answer(503, f"{error}\n".encode())
        return Answer(202, b"woken\n") if known else Answer(404, b"no such version\n")

    return page
