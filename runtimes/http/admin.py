"""The admin port: metrics for Prometheus and the concurrency limit for the autoscaler. Never reachable by callers."""

from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from headrace.contract import metrics
from headrace.runtimes.calls import Outcome
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.listener import is_loopback, is_own
from headrace.runtimes.http.routes import Handled, Route
from headrace.runtimes.http.served import Served
from headrace.runtimes.pod import start
from headrace.runtimes.pod.cgroup import Usage
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Failure, Reason

_TEXT = ((b"content-type", b"text/plain; version=0.0.4"),)

_NOT_FROM_HERE: Final = Failure(
    Reason.FORBIDDEN, "The concurrency limit is the autoscaler's to set, and nobody's within the pod."
)


class Admin:
    """Answers on the admin port."""

    def __init__(
        self, served: Served, usage: Usage, *, of_engine: Callable[[], Awaitable[bytes]] | None = None
    ) -> None:
        """`of_engine`: an engine's own metrics, in the same format; None without an engine."""
        self._served, self._usage, self._of_engine = served, usage, of_engine
        self._at_loopback = is_loopback(served.settings.host)

    def routes(self) -> dict[str, Route]:
        """What is at each path."""
        return {
            metrics.METRICS_PATH: Route("GET", self._metrics),
            metrics.CONCURRENCY_PATH: Route("GET, PUT", self._concurrency),
        }

    def _metrics(self, exchange: Exchange) -> Handled:
        del exchange
        of_engine = self._of_engine
        return Answer(200, self.exposition().encode(), _TEXT) if of_engine is None else self._with_engine(of_engine)

    async def _with_engine(self, of_engine: Callable[[], Awaitable[bytes]]) -> Outcome:
        return Answer(200, self.exposition().encode() + await of_engine(), _TEXT)

    def exposition(self) -> str:
        """All metrics of the front in Prometheus' text format."""
        served, dispatcher, backend = self._served, self._served.dispatcher, self._served.backend
        requests, admission = dispatcher.metrics, dispatcher.admission
        requests.settle()
        usage = self._usage.read(ready=backend.ready_workers > 0)
        labels = f'{metrics.ENDPOINT_METRIC_LABEL}="{served.settings.endpoint}"'
        labels += f',{metrics.VERSION_METRIC_LABEL}="{served.settings.version}"'
        lines: list[str] = []

        def metric(name: str, kind: str, value: float | None, extra: str = "") -> None:
            if value is None:  # no data is no line: an absent series is not a zero
                return
            header = f"# TYPE {name} {kind}"
            if header not in lines:
                lines.append(header)
            lines.append(f"{name}{{{labels}{extra}}} {value:.17g}")

        metric(metrics.FRONT_ARRIVED, "counter", requests.arrived)
        metric(metrics.FRONT_COMPLETED, "counter", requests.completed)
        metric(metrics.FRONT_REFUSED, "counter", requests.refused)
        metric(metrics.FRONT_EXECUTING_SECONDS, "counter", requests.executing_seconds)
        metric(metrics.FRONT_QUEUED_SECONDS, "counter", requests.queued_seconds)
        metric(metrics.FRONT_EXECUTING, "gauge", requests.executing)
        metric(metrics.FRONT_QUEUED, "gauge", requests.queued)
        metric(metrics.FRONT_CONCURRENCY_LIMIT, "gauge", admission.limit)
        metric(metrics.FRONT_DEFAULT_LIMIT, "gauge", admission.default_limit)
        metric(metrics.FRONT_CPU_SECONDS, "counter", usage.cpu_seconds)
        metric(metrics.FRONT_CPU_RATIO, "gauge", usage.cpu_ratio)
        metric(metrics.FRONT_MEMORY_RATIO, "gauge", usage.memory_ratio)
        metric(metrics.FRONT_IO_WAIT_RATIO, "gauge", usage.io_wait_ratio)
        for status, count in sorted(requests.answers.items()):
            metric("headrace_answers_total", "counter", count, f',code="{status}"')
        if not backend.schedules:
            calls = dispatcher.calls()
            metric(metrics.FRONT_CALLS, "counter", requests.batches)
            metric(metrics.FRONT_CALL_REQUESTS, "counter", requests.batched)
            metric(metrics.FRONT_CALL_SECONDS, "counter", requests.call_seconds)
            if calls.curve is not None:
                metric(metrics.FRONT_CALLS_AT_ONCE, "gauge", calls.at_once)
                metric(metrics.FRONT_CALL_MEAN_SECONDS, "gauge", calls.curve.mean_seconds)
                metric(metrics.FRONT_CALL_FIXED_SECONDS, "gauge", calls.curve.fixed_seconds)
                metric(metrics.FRONT_CALL_REQUEST_SECONDS, "gauge", calls.curve.request_seconds)
                metric(metrics.FRONT_CALL_REQUESTS_MAX, "gauge", calls.curve.requests_max)
        metric("headrace_worker_exits_total", "counter", requests.worker_exits)
        metric("headrace_workers_ready", "gauge", backend.ready_workers)
        for name, kind, value in backend.figures():
            metric(name, kind, value)
        lines += start.exposition(served.start, labels)
        return "\n".join(lines) + "\n"

    def _concurrency(self, exchange: Exchange) -> Handled:
        if exchange.method != "PUT":
            return self._limit()
        if self._comes_from_the_pod(exchange):
            return _NOT_FROM_HERE
        try:
            limit = orjson.loads(exchange.body)[metrics.CONCURRENCY_FIELD]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            limit = None
        if type(limit) is not int or limit < 1:
            message = f'The body must be {{"{metrics.CONCURRENCY_FIELD}": n}} with a whole number n of at least 1.'
            return Failure(Reason.INVALID_VALUE, message)
        self._served.dispatcher.set_limit(limit)
        return self._limit()

    def _comes_from_the_pod(self, exchange: Exchange) -> bool:
        """Whether the model may be who asks. Who listens at loopback alone serves its own machine: all come from it."""
        peer = exchange.peer
        return peer is not None and not self._at_loopback and is_own(peer)

    def _limit(self) -> Answer:
        return Answer(200, orjson.dumps({metrics.CONCURRENCY_FIELD: self._served.dispatcher.admission.limit}))
