"""PopRequests: requests to an endpoint on a caller's behalf, through the PopProxy and with the caller's own token.

So what a page tries has the caller's rights and nothing else's, goes the way of every other request, and has its row.
"""

import json
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3

from headrace.contract import names, telemetry
from headrace.contract.errors import TemporaryError

SIGNATURE_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 25.0
"""Less than the PopProxy waits for the console."""
ANSWER_BYTES: Final = 64 * 1024
"""Of an answer that a page shows."""


@dataclass(frozen=True, kw_only=True)
class TriedAnswer:
    """What came back."""

    status: int
    text: str
    """At most ANSWER_BYTES of it."""
    is_cut: bool
    milliseconds: int
    request_id: str
    trace_id: str
    version: str
    """That answered; empty where none did."""


class PopRequests:
    """Asks the PopProxy inside the cluster."""

    def __init__(self, address: str, platform: Callable[[], tuple[str, str]]) -> None:
        """`address` is host and port; `platform` tells the platform's address for clients, and the PEM of its
        authority, which is empty for a public one."""
        self._address, self._platform = address, platform

    def signature(self, endpoint: str, token: str) -> Mapping[str, Any] | None:
        """The model's in the Open Inference Protocol; None where it does not speak that. Raises TemporaryError."""
        try:
            path = f"/v2/models/{endpoint}"
            answer = self._pool().request("GET", path, headers=_bearer(token), timeout=SIGNATURE_SECONDS)
            found: Mapping[str, Any] | None = json.loads(answer.data) if answer.status == 200 else None
        except (urllib3.exceptions.HTTPError, ValueError, OSError) as error:
            raise TemporaryError(f"the model could not be asked for its signature: {error}") from error
        return found

    def score(self, endpoint: str, body: bytes, token: str, *, version: str = "") -> TriedAnswer:
        """The answer to a request for predictions, whatever its status. Raises TemporaryError where there is none."""
        trace_id = secrets.token_hex(16)
        path = names.invocations_path(endpoint)
        if version:
            path = path.replace("/invocations", f"/served-models/{version}/invocations")
        headers = {
            **_bearer(token),
            "content-type": "application/json",
            "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01",
            telemetry.FORCE_HEADER: trace_id,
        }
        began = time.monotonic()
        try:
            answer = self._pool().request(
                "POST", path, body=body, headers=headers, timeout=ANSWER_SECONDS, preload_content=False
            )
            with answer:
                read = answer.read(ANSWER_BYTES + 1, decode_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TemporaryError(f"no answer came: {error}") from error
        return TriedAnswer(
            status=answer.status,
            text=read[:ANSWER_BYTES].decode(errors="replace"),
            is_cut=len(read) > ANSWER_BYTES,
            milliseconds=round(1000 * (time.monotonic() - began)),
            request_id=answer.headers.get(names.REQUEST_ID_HEADER, ""),
            trace_id=trace_id,
            version=answer.headers.get(names.SERVED_MODEL_HEADER, ""),
        )

    def _pool(self) -> urllib3.HTTPSConnectionPool:
        """Made anew each time: the certificate's authority is renewed, and people try few requests.

        Of our own authority the certificate holds the PopProxy's name inside the cluster; another's holds the name that
        clients use.
        """
        url, authority = self._platform()
        host, _, port = self._address.rpartition(":")
        name = host if authority else urlsplit(url).hostname
        context = ssl.create_default_context(cadata=authority or None)
        return urllib3.HTTPSConnectionPool(
            host, int(port), ssl_context=context, server_hostname=name, assert_hostname=name, retries=False
        )


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
