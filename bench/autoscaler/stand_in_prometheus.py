"""A stand-in for Prometheus, for pods that do not run: it answers the autoscaler's queries from given counters.

Every pod has its own series of counters, as under the real one, so that reading them costs the controller what it would
cost there. Of a query it understands its shape and which counters it names.
"""

import json
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from headrace.contract import metrics


@dataclass
class PodCounters:
    """What one pod's front would count."""

    arrived: float = 0.0
    completed: float = 0.0
    executing_seconds: float = 0.0
    queued_seconds: float = 0.0
    executing: float = 0.0
    queued: float = 0.0


@dataclass
class VersionCounters:
    """What is known of one version."""

    endpoint: str
    version: str
    limit: int
    """Admission limit in force, so that the controller has nothing to set on pods that do not run."""
    sent: float
    """Requests that the balancer counted."""
    pods: dict[str, PodCounters]
    """By the pod's address."""


class StandInPrometheus:
    """Serves the last published state on a port of the loopback."""

    def __init__(self) -> None:
        self._answers: dict[str, dict[str, bytes]] = {}
        """By the beginning of a query, and by the metric that it names."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name is the standard library's
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("query", [""])[0]
                found = next((named for start, named in outer._answers.items() if query.startswith(start)), {})
                body = _vector([series for name, series in found.items() if series and name in query])
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def publish(self, versions: list[VersionCounters], now: float) -> None:
        """Replaces what is answered; `now` is the time of the scrape."""
        counters, sums, means = (_Series(now) for _ in range(3))
        limits: list[dict[str, Any]] = []
        times: list[dict[str, Any]] = []
        for version in versions:
            own = {
                metrics.ENDPOINT_METRIC_LABEL: version.endpoint,
                metrics.VERSION_METRIC_LABEL: version.version,
            }
            cluster = {metrics.ENVOY_CLUSTER_LABEL: f"{version.endpoint}/{version.version}"}
            counters.add(metrics.ENVOY_REQUESTS, {**cluster, "instance": "balancer:9901"}, version.sent)
            for address, pod in version.pods.items():
                labels = {**own, "instance": f"{address}:8002"}
                counters.add(metrics.FRONT_ARRIVED, labels, pod.arrived)
                counters.add(metrics.FRONT_COMPLETED, labels, pod.completed)
                counters.add(metrics.FRONT_EXECUTING_SECONDS, labels, pod.executing_seconds)
                counters.add(metrics.FRONT_QUEUED_SECONDS, labels, pod.queued_seconds)
            if version.pods:
                executing = sum(pod.executing for pod in version.pods.values())
                sums.add(metrics.FRONT_EXECUTING, own, executing)
                sums.add(metrics.FRONT_QUEUED, own, sum(pod.queued for pod in version.pods.values()))
                means.add(metrics.FRONT_CPU_RATIO, own, min(1.0, executing / version.limit / len(version.pods)))
                means.add(metrics.FRONT_MEMORY_RATIO, own, 0.4)
                limits.append({"metric": {**own, "limit": str(version.limit)}, "value": [now, str(len(version.pods))]})
                times.append({"metric": own, "value": [now, str(now)]})
        self._answers = {
            "max by (__name__": counters.by_name(),
            "sum by": sums.by_name(),
            "avg by": means.by_name(),
            "count_values by": {metrics.FRONT_CONCURRENCY_LIMIT: _joined(limits)},
            "max by (endpoint": {metrics.FRONT_ARRIVED: _joined(times)},
            "max(": {metrics.ENVOY_REQUESTS: _joined([{"metric": {}, "value": [now, str(now)]}])},
        }

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()


class _Series:
    """Series of one time, by name."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def add(self, name: str, labels: Mapping[str, str], value: float) -> None:
        row = {"metric": {"__name__": name, **labels}, "value": [self._now, repr(float(value))]}
        self._rows.setdefault(name, []).append(row)

    def by_name(self) -> dict[str, bytes]:
        return {name: _joined(rows) for name, rows in self._rows.items()}


def _joined(rows: list[dict[str, Any]]) -> bytes:
    """Rows of an answer, without the brackets about them."""
    return json.dumps(rows, separators=(",", ":")).encode()[1:-1]


def _vector(parts: list[bytes]) -> bytes:
    return b'{"status":"success","data":{"resultType":"vector","result":[' + b",".join(parts) + b"]}}"
