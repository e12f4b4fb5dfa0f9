"""The kubelet's probes, as plain data."""

import math
from typing import Final

from headrace.components.manifests import Manifest

_STARTUP_WAIT_SECONDS: Final = 5
"""How long the front holds back its answer to the startup probe while the model loads.

After a probe's first result, and after each change, the kubelet (v1.36) writes the pod's status anew, once its view of
the containers is newer than that of the status before; it takes such a view once a second. What comes within that
second waits for it: that the model is ready, too. So no probe of a model pod has a result while an ordinary start ends:
the startup probe waits, and readiness has its first look later, or at once when the start is over."""
_STARTUP_REFUSALS: Final = 3
"""Startup probes that find no listener yet: a front is imported in a quarter of a second, in seconds on a busy node."""


def probe(path: str, port: str, *, period: int, timeout: int, failures: int) -> Manifest:
    """Asks `path` of `port` by HTTP every `period` seconds, `timeout` seconds at most; `failures` in a row count."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def of_start(start_seconds: int) -> Manifest:
    """A model pod's startup probe, which gives up after `start_seconds` or a few seconds more."""
    wait = _STARTUP_WAIT_SECONDS
    failures = math.ceil(start_seconds / wait) + _STARTUP_REFUSALS
    return probe(f"/ping?wait={wait}", "http", period=1, timeout=wait + 2, failures=failures)
