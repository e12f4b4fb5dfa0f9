"""The front of a model pod: puts its parts together, whatever serves the model, and looks after them."""

# ruff: noqa: PLC0415 -- what a pod does not need is not imported, and gRPC's messages while the first worker starts.

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from headrace.contract import names
from headrace.contract.runtime import EnginePlan
from headrace.runtimes.calls import Backend, Call
from headrace.runtimes.http.admin import Admin
from headrace.runtimes.http.answer_samples import AnswerSamples
from headrace.runtimes.http.connection import Connection
from headrace.runtimes.http.exchange import Exchange, Record
from headrace.runtimes.http.fault_log import FaultLog
from headrace.runtimes.http.open_inference_routes import InferenceModel, OpenInferenceRoutes, missing
from headrace.runtimes.http.openai_routes import OpenAIRoutes
from headrace.runtimes.http.pod_routes import PodRoutes
from headrace.runtimes.http.routes import Route, Router
from headrace.runtimes.http.scoring_routes import ScoringRoutes
from headrace.runtimes.http.served import Served
from headrace.runtimes.pod.cgroup import Usage
from headrace.runtimes.pod.log_outlet import Outlet
from headrace.runtimes.pod.model_output import Pipe
from headrace.runtimes.pod.settings import Settings
from headrace.runtimes.protocols import errors
from headrace.runtimes.protocols.answers import Headers
from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.queue import batching
from headrace.runtimes.queue.dispatcher import Dispatcher
from headrace.runtimes.queue.memory import MemoryAccount
from headrace.runtimes.queue.request_metrics import RequestMetrics
from headrace.runtimes.workers.described_model import UNDESCRIBED, DescribedModel
from headrace.runtimes.workers.pool import Pool

if TYPE_CHECKING:
    from headrace.runtimes.http.protocol_proof import ProtocolProof
    from headrace.runtimes.http.recorder import Recorder
    from headrace.runtimes.http.span_recorder import SpanRecorder

log = logging.getLogger("headrace.front")

CONCURRENCY_PER_CORE: Final = batching.MOST_REQUESTS
"""Where the concurrency limit starts when nobody sets it: the fullest batch for each worker, which is high for any
other model, but workers take only what they can run; the autoscaler lowers it from what it measures."""
ENGINE_CONCURRENCY_PER_CORE: Final = 100
"""The same in front of an engine, where its plan does not say."""
_SWEEP_SECONDS: Final = 0.1
_WATCH_SECONDS: Final = 0.02
"""How often the queue is looked after: when it is empty, and when requests wait."""
_TEND_SECONDS: Final = 1.0


class Front:
    """What connections and exchanges share (`exchange.Shell`), and the life of the backend."""

    def __init__(
        self,
        settings: Settings,
        *,
        pipes: Sequence[tuple[Pipe, Pipe]],
        on_fatal: Callable[[str], None],
        began: float | None = None,
        outlet: Outlet | None = None,
    ) -> None:
        """`on_fatal` ends the pod; `began`: when its process started, in monotonic seconds, None where not known.
        `outlet`: where lines of callers and of the model go; None: they are not written."""
        self.settings, self._outlet = settings, outlet
        self.on_fault: Callable[[Exchange], None] | None = None if outlet is None else FaultLog(outlet).tell
        self.usage = Usage(settings.cores, settings.memory_bytes)
        self.metrics = RequestMetrics(time.monotonic)
        self.memory = MemoryAccount(settings.memory_bytes)
        self.dispatcher = Dispatcher(
            self.metrics,
            limit=_limit(settings),
            timeout_seconds=settings.timeout_seconds,
            clock=time.monotonic,
        )
        self.abandon: Callable[[Call], None] = self.dispatcher.abandon
        self.memory_refusal = self.dispatcher.admission.refuse
        self.served = Served(settings, self.dispatcher, on_fatal=on_fatal, began=began)
        self.connections: set[Connection] = set()
        self.now = 0
        self.date_line = b""
        self.draining = False
        self.version = settings.version
        self.common: Headers = ()
        if settings.version:
            self.common = ((names.SERVED_MODEL_HEADER.encode(), settings.version.encode("latin-1")),)
        self.recorder = _recorder(settings)
        self.span_recorder = _span_recorder(settings)
        self._recorders = [each for each in (self.recorder, self.span_recorder) if each is not None]
        self.on_record: Callable[[Record], None] | None = _taker([each.take for each in self._recorders])
        self.keeps_answers = self.recorder is not None
        self._sweeper: asyncio.Task[None] | None = None
        self.backend: Backend
        self.inference: InferenceModel
        self._of_engine: Callable[[], Awaitable[bytes]] | None = None
        self._proof: ProtocolProof | None = None
        routes = self._by_workers(pipes) if settings.engine is None else self._by_engine(settings.engine, pipes)
        self.served.backend = self.backend
        self.dispatcher.workers = self.backend.workers
        self._router = Router(routes, self._missing)
        self.handle, self.allowed = self._router.handle, self._router.allowed
        samples = AnswerSamples(self)
        admin = Admin(
            self.served, self.usage, samples, of_engine=self._of_engine, proof=lambda: self._proof,
            recorder=self.recorder, span_recorder=self.span_recorder, outlet=outlet,
        )  # fmt: skip
        self.administer = Router(admin.routes()).handle

    def _by_workers(self, pipes: Sequence[tuple[Pipe, Pipe]]) -> dict[str, Route]:
        served = self.served
        pool = Pool(
            self.settings, self.dispatcher, pipes=pipes, on_exit=self._exited, on_failed=served.failed,
            on_first=self._begun, memory_ratio=self.usage.memory_ratio, outlet=self._outlet,
        )  # fmt: skip
        self.backend = pool
        model = _Described(pool)
        self.inference = inference = OpenInferenceRoutes(served, model)
        return {
            **PodRoutes(served, lambda: model().mlflow_version or None).routes(),
            **ScoringRoutes(served, model).routes(),
            **inference.routes(),
            **OpenAIRoutes(served, model).routes(),
        }

    def _by_engine(self, plan: EnginePlan, pipes: Sequence[tuple[Pipe, Pipe]]) -> dict[str, Route]:
        from headrace.runtimes.engines.engine import Engine
        from headrace.runtimes.engines.supervisor import Supervisor
        from headrace.runtimes.http.engine_routes import EngineRoutes

        served, created = self.served, time.monotonic()

        def engine_ready() -> None:
            served.start.over()
            if self._proof is not None:
                self._proof.engine_ready(plan.name, supervisor.pid, created)

        supervisor = Supervisor(
            self.settings, plan, pipes=pipes, on_exit=self._exited, on_failed=served.failed, on_ready=engine_ready,
            outlet=self._outlet,
        )  # fmt: skip
        engine = Engine(supervisor, self.dispatcher, timeout_seconds=self.settings.timeout_seconds)
        self.backend, self._of_engine = engine, engine.metrics
        self.inference = routes = EngineRoutes(served, engine, plan)
        return {**PodRoutes(served, lambda: plan.name).routes(), **routes.routes()}

    def _missing(self, path: str) -> Failure:
        if path.startswith(f"/{names.GRPC_SERVICE}/"):
            return Failure(Reason.NOT_IMPLEMENTED, "This method is not offered.")
        return missing(path, self.settings) if path.startswith("/v2") else errors.NOTHING_HERE

    def _begun(self, pid: int, spawned: float, marks: Mapping[str, float]) -> None:
        """The first worker takes calls."""
        if self._proof is not None:
            self._proof.finished(pid, spawned)
        self.served.start.finished(pid, spawned, marks)

    def _exited(self) -> None:
        self.metrics.worker_exits += 1

    async def start(self) -> None:
        """Begins to load the model."""
        try:
            await self.backend.start()
            # while the first worker starts
            from headrace.runtimes.http.grpc_routes import GrpcRoutes
            from headrace.runtimes.http.protocol_proof import ProtocolProof

            self._router.add(GrpcRoutes(self.served, self.inference).routes())
            self._proof = ProtocolProof(self.settings)
            if self.backend.ready:
                self._proof.recall()  # a front before this one has proven the model
            if isinstance(self.backend, Pool):
                self.backend.prover = self._proof
        except BaseException:
            self.backend.kill()  # nobody would be there for it
            raise
        self._sweeper = asyncio.create_task(self._sweep())
        for recorder in self._recorders:
            recorder.start()

    def drain(self) -> None:
        """Not ready from now on, and every answer is its connection's last."""
        self.draining = self.served.draining = True
        self.backend.leaving(self.settings.grace_seconds)

    async def stop(self) -> None:
        """Ends the backend's processes."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.backend.stop()
        for recorder in self._recorders:
            recorder.stop()

    async def _sweep(self) -> None:
        tended = 0.0
        while True:
            await asyncio.sleep(_WATCH_SECONDS if self.metrics.queued else _SWEEP_SECONDS)
            now = time.monotonic()
            try:
                self.dispatcher.watch()
                self.dispatcher.expire()
                if now - tended > _TEND_SECONDS:
                    tended = now
                    self.backend.tend(now)
                    self.served.progress.look(ready=self.backend.ready)
            except Exception:  # the front must not go unattended
                log.exception("looking after the workers failed")


class _Described:
    """The model as its workers described it, read once."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._model = UNDESCRIBED

    def __call__(self) -> DescribedModel:
        if self._model is UNDESCRIBED and self._pool.description is not None:
            self._model = DescribedModel(self._pool.description)
        return self._model


def _recorder(settings: Settings) -> "Recorder | None":
    """What keeps records, where any are kept; a pod that has no place for them serves all the same."""
    if settings.recording is None:
        return None
    from headrace.runtimes.http.recorder import Recorder

    try:
        return Recorder(settings.recording, settings.run_directory)
    except OSError as error:
        log.error("no requests are recorded, there is no place for records: %s", error)
        return None


def _span_recorder(settings: Settings) -> "SpanRecorder | None":
    """What keeps what spans are made of, where any are made."""
    if settings.span_spool is None:
        return None
    from headrace.runtimes.http.span_recorder import SpanRecorder

    redact = None if settings.recording is None else settings.recording.redact
    try:
        return SpanRecorder(settings.span_spool, settings.run_directory, redact=redact)
    except OSError as error:
        log.error("no spans are made, there is no place for them: %s", error)
        return None


def _taker(takers: Sequence[Callable[[Record], None]]) -> Callable[[Record], None] | None:
    """Gives a record to all of them."""
    if len(takers) < 2:
        return takers[0] if takers else None

    def take(record: Record) -> None:
        for each in takers:
            each(record)

    return take


def _limit(settings: Settings) -> int:
    """The concurrency limit at start: the user's, the engine's, or by the cores."""
    if settings.concurrency is not None:
        return settings.concurrency
    if settings.engine is None:
        return max(1, round(CONCURRENCY_PER_CORE * settings.cores))
    if settings.engine.concurrency is not None:
        return settings.engine.concurrency
    return max(1, round(ENGINE_CONCURRENCY_PER_CORE * settings.cores))
