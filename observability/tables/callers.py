"""Callers: which pod of which endpoint sends rows, by the token that the kubelet gave it, as the API server reviews it;
and whether a reader is the console.

The model cannot forge it: the token is in the sidecar's container alone, and good for nothing but this program.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract import names
from headrace.contract.errors import PermanentError
from headrace.contract.inference_table import TOKEN_AUDIENCE
from headrace.kube.api_server import ApiServer

_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_POD_UID: Final = "authentication.kubernetes.io/pod-uid"
_USER: Final = f"system:serviceaccount:{names.endpoint_namespace('')}"
"""Of every account in an endpoint's namespace, up to the endpoint's name."""
_CONSOLE: Final = f"system:serviceaccount:{names.SYSTEM_NAMESPACE}:{names.CONSOLE}"
_COLLECTOR: Final = f"system:serviceaccount:{names.SYSTEM_NAMESPACE}:{names.COLLECTOR}"
KNOWN_SECONDS: Final = 300.0
"""How long a token that was vouched for is taken without asking; a deleted pod sends what it has left."""
_MOST_KNOWN: Final = 50_000


@dataclass(frozen=True)
class Caller:
    """A model pod."""

    endpoint: str
    pod_uid: str


class NotAPod(PermanentError):
    """The token is no model pod's."""


class NotTheConsole(PermanentError):
    """The token is not the console's, which alone may read."""


class NotTheCollector(PermanentError):
    """The token is not the Collector's, which alone may send spans and logs."""


class Callers:
    """Pods by their tokens."""

    def __init__(self, server: ApiServer, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._server, self._clock = server, clock
        self._known: dict[bytes, tuple[float, Mapping[str, Any]]] = {}
        self._lock = threading.Lock()

    def caller(self, token: str) -> Caller:
        """Whose token it is. Raises NotAPod, and TemporaryError where the API server does not answer."""
        return caller_of(self._reviewed(token))

    def require_console(self, token: str) -> None:
        """Raises NotTheConsole for any other's token, and TemporaryError where the API server does not answer."""
        require_console(self._reviewed(token))

    def require_collector(self, token: str) -> None:
        """Raises NotTheCollector for any other's token, and TemporaryError where the API server does not answer."""
        require_collector(self._reviewed(token))

    def _reviewed(self, token: str) -> Mapping[str, Any]:
        """The status of the token's review; of none, one that vouches for nobody."""
        if not token:
            return {}
        digest, now = hashlib.sha256(token.encode()).digest(), self._clock()
        with self._lock:
            until, known = self._known.get(digest, (0.0, {}))
        if now < until:
            return known
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [TOKEN_AUDIENCE]},
        }
        found: Mapping[str, Any] = self._server.send("POST", _REVIEWS, body).get("status") or {}
        if found.get("authenticated"):
            with self._lock:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[digest] = now + KNOWN_SECONDS, found
        return found


def caller_of(status: Mapping[str, Any]) -> Caller:
    """The pod that a TokenReview's status vouches for. Raises NotAPod."""
    account, uids = _account(status), ((status.get("user") or {}).get("extra") or {}).get(_POD_UID) or []
    if not account:
        raise NotAPod("the token is not valid for the table writer, or none was sent")
    if not account.startswith(_USER) or len(uids) != 1:
        raise NotAPod(f"the token of {account} is no model pod's")
    return Caller(account.removeprefix(_USER).partition(":")[0], str(uids[0]))


def require_console(status: Mapping[str, Any]) -> None:
    """Raises NotTheConsole where a TokenReview's status vouches for another account."""
    if (account := _account(status)) != _CONSOLE:
        raise NotTheConsole(f"the token of {account or 'nobody'} is not the console's, which alone reads rows here")


def require_collector(status: Mapping[str, Any]) -> None:
    """Raises NotTheCollector where a TokenReview's status vouches for another account."""
    if (account := _account(status)) != _COLLECTOR:
        raise NotTheCollector(
            f"the token of {account or 'nobody'} is not the Collector's, which alone sends spans here"
        )


def _account(status: Mapping[str, Any]) -> str:
    """Whom the status vouches for as a caller of the table writer; empty for nobody."""
    valid = status.get("authenticated") and TOKEN_AUDIENCE in (status.get("audiences") or ())
    return str((status.get("user") or {}).get("username", "")) if valid else ""
