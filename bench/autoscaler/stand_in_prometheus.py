"""A stand-in for Prometheus, for pods that do not run: it answers the autoscaler's queries from given counters.

Every pod has its own series of counters, as under the real one, so that reading them costs the controller what it would
cost there.
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
        self._answers: dict[str, bytes] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name is the standard library's
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("query", [""])[0]
                body = next((body for start, body in outer._answers.items() if query.startswith(start)), _vector([]))
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
        each: list[dict[str, Any]] = []
        sums: list[dict[str, Any]] = []
        means: list[dict[str, Any]] = []
        limits: list[dict[str, Any]] = []
        times: list[dict[str, Any]] = []
        for version in versions:
            own = {
                metrics.ENDPOINT_METRIC_LABEL: version.endpoint,
                metrics.VERSION_METRIC_LABEL: version.version,
            }
            cluster = {metrics.ENVOY_CLUSTER_LABEL: f"{version.endpoint}/{version.version}"}
            each.append(_series(metrics.ENVOY_REQUESTS, {**cluster, "instance": "balancer:9901"}, version.sent, now))
            for address, pod in version.pods.items():
                labels = {**own, "instance": f"{address}:8002"}
                each += [
                    _series(metrics.FRONT_ARRIVED, labels, pod.arrived, now),
                    _series(metrics.FRONT_COMPLETED, labels, pod.completed, now),
                    _series(metrics.FRONT_EXECUTING_SECONDS, labels, pod.executing_seconds, now),
                    _series(metrics.FRONT_QUEUED_SECONDS, labels, pod.queued_seconds, now),
                ]
            if version.pods:
                executing = sum(pod.executing for pod in version.pods.values())
                used = min(1.0, executing / version.limit / len(version.pods))
                sums.append(_series(metrics.FRONT_EXECUTING, own, executing, now))
                sums.append(_series(metrics.FRONT_QUEUED, own, sum(pod.queued for pod in version.pods.values()), now))
                means.append(_series(metrics.FRONT_CPU_RATIO, own, used, now))
                means.append(_series(metrics.FRONT_MEMORY_RATIO, own, 0.4, now))
                limits.append({"metric": {**own, "limit": str(version.limit)}, "value": [now, str(len(version.pods))]})
                times.append({"metric": own, "value": [now, str(now)]})
        self._answers = {
            "{": _vector(each),
            "sum by": _vector(sums),
            "avg by": _vector(means),
            "count_values by": _vector(limits),
            "max by": _vector(times),
            "max(": _vector([{"metric": {}, "value": [now, str(now)]}]),
        }

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()


def _series(name: str, labels: Mapping[str, str], value: float, now: float) -> dict[str, Any]:
    return {"metric": {"__name__": name, **labels}, "value": [now, repr(float(value))]}


def _vector(result: list[dict[str, Any]]) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
