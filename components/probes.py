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
    """The startup probe of a pod whose own workers load the model; gives up `start_seconds`, or up to 20 s more, later.

    A probe that finds no listener takes a second and not the front's wait: many of them, on a node without any CPU to
    spare, make it give up sooner.
    """
    wait = _STARTUP_WAIT_SECONDS
    failures = math.ceil(start_seconds / wait) + _STARTUP_REFUSALS
    return probe(f"/ping?wait={wait}", "http", period=1, timeout=wait + 2, failures=failures)


def of_engine_start(start_seconds: int) -> Manifest:
    """The same in front of an engine, whose front answers at once that it is not ready: a probe each second."""
    return probe("/ping", "http", period=1, timeout=3, failures=start_seconds)
