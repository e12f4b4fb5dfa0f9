"""The admin port: metrics for Prometheus, the concurrency limit for the autoscaler, and what was proven of the model.

Never reachable by callers.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import orjson

from headrace.contract import answer_samples, evidence, metrics
from headrace.contract.codec import encode
from headrace.contract.declaration import Style
from headrace.runtimes.calls import Outcome
from headrace.runtimes.http.answer_samples import AnswerSamples
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.listener import is_loopback, is_own
from headrace.runtimes.http.routes import Handled, Route
from headrace.runtimes.http.served import Served
from headrace.runtimes.pod import start
from headrace.runtimes.pod.cgroup import Usage
from headrace.runtimes.protocols import errors
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Failure, Reason

if TYPE_CHECKING:
    from headrace.runtimes.http.protocol_proof import ProtocolProof
    from headrace.runtimes.http.recorder import Recorder
    from headrace.runtimes.http.span_recorder import SpanRecorder
    from headrace.runtimes.pod.log_outlet import Outlet

_TEXT = ((b"content-type", b"text/plain; version=0.0.4"),)

_NOT_FOR_THE_MODEL: Final = Failure(Reason.FORBIDDEN, "Answers are the rollout controller's to compare.")
_NOT_FROM_HERE: Final = Failure(
    Reason.FORBIDDEN, "The concurrency limit is the autoscaler's to set, and nobody's within the pod."
)


class Admin:
    """Answers on the admin port."""

    def __init__(
        self,
        served: Served,
        usage: Usage,
        samples: AnswerSamples,
        *,
        of_engine: Callable[[], Awaitable[bytes]] | None = None,
        proof: "Callable[[], ProtocolProof | None]" = lambda: None,
        recorder: "Recorder | None" = None,
        span_recorder: "SpanRecorder | None" = None,
        outlet: "Outlet | None" = None,
    ) -> None:
        """`of_engine`: an engine's own metrics, in the same format; None without an engine. `proof`: what was proven;
        None while nobody has looked. `recorder`: what keeps records of requests, `span_recorder`: what keeps what their
        spans are made of; None: nothing does. `outlet`: what writes lines of the log; None: nothing counts them."""
        self._recorder, self._span_recorder, self._outlet = recorder, span_recorder, outlet
        self._served, self._usage, self._of_engine, self._proof = served, usage, of_engine, proof
        self._samples = samples
        self._at_loopback = is_loopback(served.settings.host)

    def routes(self) -> dict[str, Route]:
        """What is at each path."""
        return {
            metrics.METRICS_PATH: Route("GET", self._metrics),
            metrics.CONCURRENCY_PATH: Route("GET, PUT", self._concurrency),
            answer_samples.ANSWERS_PATH: Route("GET", self._answers),
            evidence.PROOF_PATH: Route("GET", self._proven),
            evidence.INFERENCE_REQUEST_PATH: Route("GET", self._inference_request),
        }

    def _proven(self, exchange: Exchange) -> Handled:
        del exchange
        looked = self._proof()
        if looked is None or looked.proof is None:
            return self._served.not_ready()
        return Answer(200, orjson.dumps(encode(looked.proof, Style.KUBERNETES)))

    def _answers(self, exchange: Exchange) -> Handled:
        if self._comes_from_the_pod(exchange):
            return _NOT_FOR_THE_MODEL
        return Answer(200, orjson.dumps([encode(sample) for sample in self._samples.asked()]))

    def _inference_request(self, exchange: Exchange) -> Handled:
        del exchange
        looked = self._proof()
        text = looked.inference_request if looked is not None else None
        return errors.NOTHING_HERE if text is None else Answer(200, text)

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
        metric(metrics.FRONT_MEMORY_BYTES, "gauge", usage.memory_bytes)
        metric(metrics.FRONT_CPU_THROTTLED_SECONDS, "counter", usage.throttled_seconds)
        for status, count in sorted(requests.answers.items()):
            metric(metrics.FRONT_ANSWERS, "counter", count, f',code="{status}"')
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
        if self._recorder is not None:
            ring = self._recorder.ring
            metric(metrics.RECORDS_ATTEMPTED, "counter", ring.attempted)
            metric(metrics.RECORDS_SAMPLED_OUT, "counter", ring.sampled_out)
            metric(metrics.RECORDS_SPOOLED, "counter", self._recorder.spooled)
            for reason, count in ring.dropped.items():
                metric(metrics.RECORDS_DROPPED, "counter", count, f',reason="{reason}"')
        if self._span_recorder is not None:
            for reason, count in self._span_recorder.ring.dropped.items():
                metric(metrics.SPAN_REQUESTS_DROPPED, "counter", count, f',reason="{reason}"')
        if self._outlet is not None:
            metric(metrics.LOG_LINES, "counter", self._outlet.written)
            for reason, count in self._outlet.dropped.items():
                metric(metrics.LOG_LINES_DROPPED, "counter", count, f',reason="{reason}"')
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
