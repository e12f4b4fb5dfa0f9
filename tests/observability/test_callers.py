"""Callers: a token is a pod's when the API server says so, for this program and of an endpoint's namespace."""

from typing import Any

import pytest

from headrace.contract.errors import TemporaryError
from headrace.observability.tables.callers import (
    KNOWN_SECONDS,
    Caller,
    Callers,
    NotAPod,
    NotTheCollector,
    NotTheConsole,
    caller_of,
    require_console,
)


def status(**changed: Any) -> dict[str, Any]:
    user = {
        "username": "system:serviceaccount:endpoint-fraud:model",
        "extra": {"authentication.kubernetes.io/pod-uid": ["uid-1"]},
    }
    return {"authenticated": True, "audiences": ["headrace-tables"], "user": user, **changed}


class Server:
    """Reviews tokens."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.asked: list[Any] = []

    def send(self, method: str, path: str, body: Any) -> Any:
        assert (method, path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
        self.asked.append(body["spec"])
        if not self.found:
            raise TemporaryError("away")
        return {"status": self.found}


def test_a_token_that_was_vouched_for_is_known_for_a_while() -> None:
    server: Any = Server(status())
    now = [0.0]
    callers = Callers(server, clock=lambda: now[0])

    assert callers.caller("t") == callers.caller("t") == Caller("fraud", "uid-1")
    assert server.asked == [{"token": "t", "audiences": ["headrace-tables"]}]
    server.found = {}
    now[0] = KNOWN_SECONDS - 1
    assert callers.caller("t").pod_uid == "uid-1"
    now[0] = KNOWN_SECONDS
    with pytest.raises(TemporaryError):
        callers.caller("t")


def test_nobody_is_asked_about_no_token() -> None:
    server: Any = Server({})
    with pytest.raises(NotAPod):
        Callers(server).caller("")


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"authenticated": False, "error": "expired"},
        status(audiences=["https://kubernetes.default.svc"]),
        status(audiences=None),
        status(user={"username": "system:serviceaccount:default:model", "extra": {}}),
        status(user={"username": "alice", "extra": {"authentication.kubernetes.io/pod-uid": ["u"]}}),
        status(user={"username": "system:serviceaccount:endpoint-fraud:model"}),
    ],
)
def test_nobody_else_is_a_pod(found: dict[str, Any]) -> None:
    with pytest.raises(NotAPod):
        caller_of(found)


@pytest.mark.parametrize(
    "found",
    [
        {},
        status(),
        status(user={"username": "system:serviceaccount:endpoint-x:console"}),
        status(user={"username": "system:serviceaccount:headrace-system:tables"}),
        status(user={"username": "system:serviceaccount:headrace-system:console"}, audiences=["headrace"]),
        status(user={"username": "system:serviceaccount:headrace-system:console"}, authenticated=False),
    ],
)
def test_nobody_else_is_the_console(found: dict[str, Any]) -> None:
    with pytest.raises(NotTheConsole):
        require_console(found)


def test_the_collector_is_known_by_its_account_and_the_console_is_not_it() -> None:
    for account, admitted in (("collector", True), ("console", False)):
        server: Any = Server(status(user={"username": f"system:serviceaccount:headrace-system:{account}"}))
        if admitted:
            Callers(server).require_collector("t")
        else:
            with pytest.raises(NotTheCollector, match="is not the Collector's"):
                Callers(server).require_collector("t")


def test_the_console_is_known_by_its_account() -> None:
    server: Any = Server(status(user={"username": "system:serviceaccount:headrace-system:console"}))
    callers = Callers(server)

    callers.require_console("t")
    with pytest.raises(NotAPod):
        callers.caller("t")
