"""The model behind the pod, whoever evaluates it: whether it can be asked now, and what is said when it cannot."""

import asyncio
import logging
import time
from collections.abc import Callable

from headrace.runtimes.calls import Backend
from headrace.runtimes.pod.logs import tell_reason
from headrace.runtimes.pod.progress import Progress
from headrace.runtimes.pod.settings import Settings
from headrace.runtimes.pod.start import Start
from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.queue.dispatcher import Dispatcher

log = logging.getLogger("headrace.front")


class Served:
    """The state that all routes share."""

    backend: Backend

    def __init__(
        self, settings: Settings, dispatcher: Dispatcher, *, on_fatal: Callable[[str], None], began: float | None = None
    ) -> None:
        """`on_fatal` ends the pod; `began`: when its process started, in monotonic seconds, None where not known."""
        self.settings = settings
        self.dispatcher = dispatcher
        self.start = Start(began)
        self.progress = Progress(time.monotonic)
        self.draining = False
        """Whether the pod is leaving: not ready, and every answer is its connection's last."""
        self.unguarded = False
        """Whether the pod's first process is stopped, so that nobody would replace this one or take its orphans."""
        self.failure: str | None = None
        """Why the model cannot be served, in one sentence; None while it can or may be."""
        self._on_fatal = on_fatal

    @property
    def serving(self) -> bool:
        """Whether the model is ready and the pod stays."""
        return self.backend.ready and not self.draining and not self.unguarded

    def not_ready(self) -> Failure:
        """Why nothing can be answered now."""
        if self.draining:
            return Failure(Reason.UNAVAILABLE, "The pod is draining.", retry_after_seconds=1)
        if self.unguarded:
            return Failure(Reason.UNAVAILABLE, "The pod's first process is stopped.", retry_after_seconds=5)
        return Failure(Reason.UNAVAILABLE, self.failure or self.progress.sentence, retry_after_seconds=5)

    def turned_away(self) -> Failure:
        """The same, to a request for a prediction, which is counted."""
        return self.dispatcher.admission.turn_away(self.not_ready())

    def failed(self, reason: str) -> None:
        """The model cannot be served: says why at /ping and in the logs, and ends the pod a little later."""
        if self.failure is not None:
            return
        self.failure = reason
        self.start.over()
        tell_reason(reason, self.settings.termination_log)
        asyncio.get_running_loop().call_later(self.settings.failure_hold_seconds, self._on_fatal, reason)
