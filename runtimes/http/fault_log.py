"""FaultLog: a line of the log for each request for a prediction that got none. Good requests have no line."""

import time
from typing import Final

from headrace.contract import log_line
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.pod.log_outlet import Outlet

_PATH_LENGTH: Final = 256
_WARNINGS: Final = (429, 503)
"""Refusals for want of room: nothing is broken."""


class FaultLog:
    """Tells requests of 400 and above, as often as the outlet allows. Neither bodies nor what headers hold."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def tell(self, exchange: Exchange) -> None:
        """Writes a line about an exchange that has ended."""
        path, status = exchange.path[:_PATH_LENGTH], exchange.status
        if not self._outlet.allows(len(path)):
            return
        milliseconds = round(1000 * (time.monotonic() - exchange.arrived), 1)
        attributes = {
            "http.request.method": exchange.method,
            "url.path": path,
            "http.response.status_code": status,
            "duration_ms": milliseconds,
        }
        fields = {log_line.SCOPE: "headrace.front", log_line.ATTRIBUTES: attributes, **exchange.named()}
        body = f"{exchange.method} {path}: {status} after {milliseconds} ms"
        self._outlet.put(len(path), severity_of(status), body, fields)


def severity_of(status: int) -> str:
    """Of a status: whose fault it is."""
    if status in _WARNINGS:
        return "WARN"
    return "ERROR" if status >= 500 else "INFO"
