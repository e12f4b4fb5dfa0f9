"""The admin port: metrics for Prometheus and the concurrency limit for the autoscaler. Never reachable by callers."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import orjson

from headrace.contract import metrics
from headrace.runtimes.front import start
from headrace.runtimes.front.answers import Answer, refusal

if TYPE_CHECKING:
    from headrace.runtimes.engine.app import EngineFront
    from headrace.runtimes.front.app import Front

_LARGEST_BODY = 1024


class Admin:
    """Answers on the admin port."""

    def __init__(self, front: "Front | EngineFront") -> None:
        self._front = front

    async def answer(
        self, scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[MutableMapping[str, Any]]]
    ) -> Answer:
        """Routes one request of the admin port."""
        path, method = scope["path"], scope["method"]
        if path == metrics.METRICS_PATH and method == "GET":
            return Answer(200, self.exposition().encode(), ((b"content-type", b"text/plain; version=0.0.4"),))
        if path == metrics.CONCURRENCY_PATH:
            if method == "PUT":
                message = await receive()
                return self._set_limit(message.get("body", b"")[:_LARGEST_BODY])
            if method == "GET":
                return self._limit()
            return refusal(405, "BAD_REQUEST", "This path answers GET and PUT only.", allow="GET, PUT")
        return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is nothing at this path.")

    def exposition(self) -> str:
        """All metrics in Prometheus' text format."""
        front = self._front
        load = front.load
        load.settle()
        ready = front.pool.ready_workers > 0
        usage = front.usage.read(ready=ready)
        labels = f'{metrics.ENDPOINT_METRIC_LABEL}="{front.settings.endpoint}"'
        labels += f',{metrics.VERSION_METRIC_LABEL}="{front.settings.version}"'
        lines: list[str] = []

        def metric(name: str, kind: str, value: float | None, extra: str = "") -> None:
            if value is None:  # no data is no line: an absent series is not a zero
                return
            header = f"# TYPE {name} {kind}"
            if header not in lines:
                lines.append(header)
            lines.append(f"{name}{{{labels}{extra}}} {value:.17g}")

        metric(metrics.FRONT_ARRIVED, "counter", load.arrived)
        metric(metrics.FRONT_COMPLETED, "counter", load.completed)
        metric(metrics.FRONT_REFUSED, "counter", load.refused)
        metric(metrics.FRONT_EXECUTING_SECONDS, "counter", load.executing_seconds)
        metric(metrics.FRONT_QUEUED_SECONDS, "counter", load.queued_seconds)
        metric(metrics.FRONT_EXECUTING, "gauge", load.executing)
        metric(metrics.FRONT_QUEUED, "gauge", load.queued)
        metric(metrics.FRONT_CONCURRENCY_LIMIT, "gauge", front.dispatcher.limit)
        metric(metrics.FRONT_DEFAULT_LIMIT, "gauge", front.dispatcher.default_limit)
        metric(metrics.FRONT_CPU_SECONDS, "counter", usage.cpu_seconds)
        metric(metrics.FRONT_CPU_RATIO, "gauge", usage.cpu_ratio)
        metric(metrics.FRONT_MEMORY_RATIO, "gauge", usage.memory_ratio)
        metric(metrics.FRONT_IO_WAIT_RATIO, "gauge", usage.io_wait_ratio)
        for status, count in sorted(load.answers.items()):
            metric("headrace_answers_total", "counter", count, f',code="{status}"')
        calls = front.dispatcher.calls()
        if calls is not None:
            metric(metrics.FRONT_CALLS, "counter", load.batches)
            metric(metrics.FRONT_CALL_REQUESTS, "counter", load.batched)
            metric(metrics.FRONT_CALL_SECONDS, "counter", load.call_seconds)
            if calls.curve is not None:
                metric(metrics.FRONT_CALLS_AT_ONCE, "gauge", calls.at_once)
                metric(metrics.FRONT_CALL_MEAN_SECONDS, "gauge", calls.curve.mean_seconds)
                metric(metrics.FRONT_CALL_FIXED_SECONDS, "gauge", calls.curve.fixed_seconds)
                metric(metrics.FRONT_CALL_REQUEST_SECONDS, "gauge", calls.curve.request_seconds)
                metric(metrics.FRONT_CALL_REQUESTS_MAX, "gauge", calls.curve.requests_max)
        metric("headrace_worker_exits_total", "counter", load.worker_exits)
        metric("headrace_workers_ready", "gauge", front.pool.ready_workers)
        for name, kind, value in front.pool.merging.figures():
            metric(name, kind, value)
        lines += start.exposition(front.start, labels)
        return "\n".join(lines) + "\n"

    def _limit(self) -> Answer:
        return Answer(200, orjson.dumps({metrics.CONCURRENCY_FIELD: self._front.dispatcher.limit}))

    def _set_limit(self, body: bytes) -> Answer:
        try:
            limit = orjson.loads(body)[metrics.CONCURRENCY_FIELD]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            limit = None
        if type(limit) is not int or limit < 1:
            message = f'The body must be {{"{metrics.CONCURRENCY_FIELD}": n}} with a whole number n of at least 1.'
            return refusal(400, "INVALID_PARAMETER_VALUE", message)
        self._front.dispatcher.set_limit(limit)
        return self._limit()
