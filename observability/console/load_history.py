"""LoadHistory: load, pods and latency of an endpoint's versions over the last minutes, as Prometheus remembers them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

from headrace.contract import metrics
from headrace.contract.errors import TemporaryError

SECONDS: Final = 600
"""How far back: the platform's own Prometheus keeps as much."""
STEP_SECONDS: Final = 5
TIMEOUT_SECONDS: Final = 5.0
_VERSION: Final = metrics.VERSION_METRIC_LABEL
_RATE: Final = "15s"
"""Over which counters are read: some scrapes of theirs, one a second."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot: a line a version."""

    key: str
    title: str
    unit: str
    query: str
    """PromQL; `%s` stands for the selector of the endpoint's series."""


PLOTS: Final = (
    Plot(key="pods", title="Pods", unit="pods", query=f"count by ({_VERSION}) ({metrics.FRONT_CONCURRENCY_LIMIT}%s)"),
    Plot(
        key="concurrency", title="Requests at once", unit="requests",
        query=f"sum by ({_VERSION}) (rate({metrics.FRONT_EXECUTING_SECONDS}%s[{_RATE}]))",
    ),
    Plot(
        key="limit", title="Requests at once that a pod admits", unit="requests",
        query=f"avg by ({_VERSION}) ({metrics.FRONT_CONCURRENCY_LIMIT}%s)",
    ),
    Plot(
        key="rate", title="Requests a second", unit="1/s",
        query=f"sum by ({_VERSION}) (rate({metrics.FRONT_COMPLETED}%s[{_RATE}]))",
    ),
    Plot(
        key="latency", title="Mean time in the pod", unit="ms",
        query=f"1000 * (sum by ({_VERSION}) (rate({metrics.FRONT_EXECUTING_SECONDS}%s[{_RATE}])) + "
        f"sum by ({_VERSION}) (rate({metrics.FRONT_QUEUED_SECONDS}%s[{_RATE}]))) / "
        f"(sum by ({_VERSION}) (rate({metrics.FRONT_COMPLETED}%s[{_RATE}])) > 0)",
    ),
    Plot(
        key="errors", title="Refused and failed answers a second", unit="1/s",
        query=f"sum by ({_VERSION}) (rate({metrics.FRONT_ANSWERS}%s[{_RATE}]))",
    ),
)  # fmt: skip
_FAILED: Final = ',code=~"5..|429"'

Lines = Mapping[str, list[float | None]]
"""Values by version, one for each of the times; None where nothing was measured."""


@dataclass(frozen=True, kw_only=True)
class History:
    """What was measured."""

    times: list[int]
    """Seconds since 1970, STEP_SECONDS apart."""
    lines: Mapping[str, Lines]
    """By the key of a plot."""

    def mean(self, key: str, version: str) -> float | None:
        """Of a version over all times at which something was measured."""
        known = [value for value in self.lines.get(key, {}).get(version, ()) if value is not None]
        return sum(known) / len(known) if known else None

    def document(self, decisions: list[dict[str, Any]]) -> dict[str, Any]:
        """As the script in the page reads it. Raises nothing."""
        plots = [{"key": p.key, "title": p.title, "unit": p.unit, "lines": self.lines.get(p.key, {})} for p in PLOTS]
        return {"times": self.times, "plots": plots, "decisions": decisions}


class Prometheus:
    """Asks one Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=8, retries=False)

    def history(self, endpoint: str, now: float) -> History:
        """Of an endpoint, whose name is a DNS label. Raises TemporaryError."""
        end = int(now) // STEP_SECONDS * STEP_SECONDS
        times = list(range(end - SECONDS, end + 1, STEP_SECONDS))

        def asked(plot: Plot) -> Lines:
            failed = _FAILED if plot.key == "errors" else ""
            selector = f'{{{metrics.ENDPOINT_METRIC_LABEL}="{endpoint}"{failed}}}'
            query = plot.query.replace("%s", selector)
            return lines_of(self._range(query, times[0], end), times)

        return History(times=times, lines={plot.key: asked(plot) for plot in PLOTS})

    def _range(self, query: str, start: int, end: int) -> Any:
        parameters = urlencode({"query": query, "start": start, "end": end, "step": STEP_SECONDS})
        try:
            address = f"{self._url}/api/v1/query_range?{parameters}"
            answer = self._pool.request("GET", address, timeout=TIMEOUT_SECONDS)
            if answer.status == 200:
                return json.loads(answer.data)["data"]["result"]
        except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
            raise TemporaryError(f"Prometheus at {self._url} cannot be read: {error}") from error
        raise TemporaryError(f"Prometheus at {self._url} answered {answer.status}")


def lines_of(result: Any, times: list[int], *, label: str = _VERSION) -> Lines:
    """Lines of a range query's matrix, by a label of its series."""
    found: dict[str, list[float | None]] = {}
    for series in result:
        values = {round(float(time)): _finite(value) for time, value in series["values"]}
        found[series["metric"].get(label, "")] = [values.get(time) for time in times]
    return found


def _finite(text: str) -> float | None:
    value = float(text)
    return value if value - value == 0 else None  # neither NaN nor infinite, which JSON has not
