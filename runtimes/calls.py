"""What the queue and its backends say to each other: calls, batches of them, and how they end.

A backend is what evaluates a model: our own worker processes (`workers`) or somebody else's engine (`engines`). Both
describe themselves, infer, stream and stop in the same way, so that one queue admits and hands out all requests.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from headrace.runtimes.protocols.answers import Answer, Events
from headrace.runtimes.protocols.errors import Failure

Outcome: TypeAlias = Answer | Events | Failure


class Work(Protocol):
    """What a backend gets of a request."""

    @property
    def body(self) -> bytes:
        """Its bytes, by whose number calls are merged."""


class ModelInput(NamedTuple):
    """What a worker gets of a request."""

    content_type: str
    body: bytes


class Waiting(Protocol):
    """Who waits for the outcome of a call: a caller's exchange, or a future."""

    def done(self) -> bool:
        """Whether the outcome has come."""

    def set_result(self, outcome: Any, /) -> None:
        """Takes the outcome, once."""


class CallTimes(NamedTuple):
    """When the batch ran that a call was in, in seconds of the queue's clock."""

    started: float
    ended: float
    seconds: float | None
    """The model's own; None where the backend does not tell."""
    requests: int
    """Calls in the batch."""


@dataclass(slots=True, eq=False)
class Call:
    """One request on its way to a backend and back."""

    work: Any
    """`Work` of a kind that the backend knows."""
    size: int
    """Bytes of its body."""
    arrived: float
    deadline: float
    """When its time is over, in seconds of the queue's clock."""
    waiting: Waiting
    gone: bool = False
    """The client went away, the deadline passed or the outcome has come: it is not in the queue any more."""
    pieces: "asyncio.Queue[bytes | None] | None" = None
    """Where the pieces of a streamed answer arrive, None after the last; None for an answer in one piece."""
    batch: "Batch | None" = None
    """What it runs in; None while it waits, and once it has ended."""
    about: Callable[[], Mapping[str, object]] | None = None
    """Who names the request where `waiting` does not; None: nobody does."""
    trace: bytes | None = None
    """The request's header `traceparent`."""
    times: CallTimes | None = None
    """None until its batch has ended."""

    @property
    def asker(self) -> Callable[[], Mapping[str, object]] | None:
        """Who names the request that this is a call of, as fields of a line in the log."""
        return self.about if self.about is not None else getattr(self.waiting, "named", None)

    def settle(self, outcome: Outcome) -> None:
        """Gives the outcome to who waits, unless there was one before."""
        if not self.waiting.done():
            self.waiting.set_result(outcome)
            if self.pieces is not None:
                self.pieces.put_nowait(None)


@dataclass(slots=True, eq=False)
class Batch:
    """Calls that a worker answers with one frame."""

    calls: Sequence[Call]
    worker: "Worker"
    started: float = field(default=0.0)
    """When its worker could begin with it, in seconds of the queue's clock."""


class Worker(Protocol):
    """What the queue needs of whoever evaluates calls: a worker process, or an engine."""

    merges: bool
    """Whether it may answer several calls with one model call."""

    def width(self) -> int:
        """Batches it can run at once."""

    def free(self) -> int:
        """Batches it can take now without any waiting for another."""

    def given_up(self) -> int:
        """Calls that it was sent and may never end; they take no other call's place."""

    def room(self) -> float:
        """Batches it could run at once, by what its calls use of a core; 0 while it takes none."""

    def crowded(self, now: float) -> bool:
        """Told while calls wait that it could not take; whether it now takes more at once than before."""

    def relaxed(self) -> None:
        """Told when nothing waits."""

    def take(self, batch: Batch) -> None:
        """Starts a batch; it comes back through `Listener.finished` or `Listener.lost`."""

    def cancel(self, batch: Batch) -> None:
        """Told that nobody waits for a batch any more; it still comes back."""


class Listener(Protocol):
    """Whom a backend tells how batches ended: the queue."""

    def finished(self, batch: Batch, outcomes: Sequence[Outcome], seconds: float | None) -> None:
        """All calls of a batch have an outcome; `seconds` are the model call's own, None where it has none."""

    def lost(self, batch: Batch, failure: Failure) -> None:
        """Whoever evaluated a batch ended before it had an outcome."""

    def returned(self, batch: Batch, failure: Failure) -> None:
        """Whoever was to evaluate a batch ended before it began: another does; `failure` is for when there is none."""

    def pump(self) -> None:
        """A worker may have become free."""


class Backend(Protocol):
    """All that evaluates the model of this pod."""

    schedules: bool
    """Whether it schedules requests by itself, so that calls have no cost that could be told."""

    @property
    def workers(self) -> Sequence[Worker]:
        """Whoever takes batches."""

    @property
    def ready(self) -> bool:
        """Whether a call can be answered now."""

    @property
    def ready_workers(self) -> int:
        """Workers that take new work."""

    async def start(self) -> None:
        """Begins to load the model; it is ready some time after."""

    async def stop(self) -> None:
        """Ends its processes, within seconds."""

    def kill(self) -> None:
        """Ends its processes at once."""

    def tend(self, now: float) -> None:
        """Looks after its processes; to be called once a second with monotonic seconds."""

    def look(self) -> None:
        """Reads outcomes that have come, ahead of their turn in the event loop."""

    def leaving(self, grace_seconds: float) -> None:
        """Told that the pod ends in so many seconds, and serves on meanwhile."""

    def figures(self) -> Sequence[tuple[str, str, float | None]]:
        """Name, type and value of metrics of its own."""


class Prover(Protocol):
    """Who looks at the model before it takes requests."""

    def requests(self, described: Mapping[str, Any], given: tuple[bytes, bytes] | None) -> Sequence[Work]:
        """What a worker that described itself so is to answer first; `given`: its model's input example, and the answer
        to it."""

    def answered(self, outcomes: Sequence[Outcome | None]) -> None:
        """The outcomes, in order; None: the model was not called for it."""


class Stream:
    """A streamed answer of a worker: its pieces, then how it ended."""

    def __init__(
        self, call: Call, first: bytes | None, ending: "asyncio.Future[Outcome]", abandon: Callable[[Call], None]
    ) -> None:
        """`first`: the piece that came already; None for a stream of none. `abandon` hears of a caller that leaves."""
        self._call, self._first, self._ending, self._abandon = call, first, ending, abandon

    async def pieces(self) -> AsyncIterator[bytes]:
        """JSON documents in order; a listener that stops early is reported to the worker."""
        call, piece = self._call, self._first
        assert call.pieces is not None
        try:
            while piece is not None:
                yield piece
                piece = await call.pieces.get()
        except (asyncio.CancelledError, GeneratorExit):
            self._abandon(call)
            raise

    async def ending(self) -> Outcome:
        """An answer of 200, or what went wrong after the first piece."""
        return await self._ending
