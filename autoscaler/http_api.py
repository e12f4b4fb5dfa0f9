"""HTTP API: what the controller answers besides its health and metrics: /targets/<job> for Prometheus."""

import json
from collections.abc import Callable, Sequence

from headrace.contract import metrics
from headrace.contract.errors import TemporaryError
from headrace.kube.admin_server import NOT_FOUND, Handler, Response


def targets_page(targets: Callable[[str], Sequence[dict[str, object]] | None]) -> Handler:
    """`targets` gives a job's, in the form of Prometheus' HTTP discovery; None for a job that is none. It raises
    TemporaryError while it cannot know."""

    def page(path: str) -> Response:
        root, _, job = path.removeprefix("/").partition("/")
        if f"/{root}" != metrics.TARGETS_PATH:
            return NOT_FOUND
        try:
            groups = targets(job)
        except TemporaryError as error:
            return Response(503, f"{error}\n".encode())
        return NOT_FOUND if groups is None else Response(200, json.dumps(groups).encode(), "application/json")

    return page
