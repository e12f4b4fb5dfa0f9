"""MLflow's scoring protocol in front of our own workers: POST /invocations."""

from collections.abc import Callable

from headrace.runtimes.calls import Outcome, Work
from headrace.runtimes.http.event_stream import events
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.routes import Handled, Route
from headrace.runtimes.http.served import Served
from headrace.runtimes.http.submission import plain_body, refuse, submit
from headrace.runtimes.protocols import request_body
from headrace.runtimes.protocols.errors import Dialect, Failure
from headrace.runtimes.workers.described_model import DescribedModel


class ScoringRoutes:
    """One path."""

    def __init__(self, served: Served, model: Callable[[], DescribedModel]) -> None:
        self._served, self._model = served, model

    def routes(self) -> dict[str, Route]:
        """What is at each path."""
        return {"/invocations": Route("POST", self.score, predicts=True)}

    def score(self, exchange: Exchange) -> Handled:
        """Hands a request to the queue without a coroutine, or says why not; a stream takes a coroutine."""
        served = self._served
        content_type = request_body.content_type(exchange.fields.get(b"content-type"))
        if isinstance(content_type, Failure):
            return content_type
        ready = served.backend.ready
        if ready and served.dispatcher.admission.full():  # before any work is done for it: this is what overload is
            return refuse(served)
        body = plain_body(exchange)
        if isinstance(body, Failure):
            return body
        read = self._model().reads(content_type, body)
        if isinstance(read, Failure):
            return read
        if not ready:
            return served.turned_away()
        work, streamed = read
        return self._streamed(work) if streamed else submit(served, exchange, work, exchange)

    async def _streamed(self, work: Work) -> Outcome:
        stream = await self._served.dispatcher.stream(work)
        return stream if isinstance(stream, Failure) else events(stream, Dialect.MLFLOW)
