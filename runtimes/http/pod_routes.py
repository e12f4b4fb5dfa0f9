"""What Kubernetes and MLflow's own clients ask of a pod, whatever serves the model: is it alive, is it ready."""

from collections.abc import Callable

from headrace.runtimes.calls import Outcome
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.routes import Handled, Route
from headrace.runtimes.http.served import Served
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Failure


class PodRoutes:
    """Health and version."""

    def __init__(self, served: Served, version: Callable[[], str | None]) -> None:
        """`version`: what MLflow's clients are told of the server; None while nothing is known."""
        self._served, self._told_version = served, version

    def routes(self) -> dict[str, Route]:
        """What is at each path."""
        return {
            "/ping": Route("GET", self._ping),
            "/health": Route("GET", self._ping),
            "/version": Route("GET", self._version),
            "/v2/health/live": Route("GET", lambda _: Answer(200, b'{"live":true}')),
            "/v2/health/ready": Route("GET", lambda _: self._healthy(b'{"live":true,"ready":true}')),
        }

    def _ping(self, exchange: Exchange) -> Handled:
        served = self._served
        if exchange.query and not served.backend.ready and not served.draining and served.failure is None:
            return self._awaited(exchange.query)
        return self._healthy(b"\n")

    async def _awaited(self, query: bytes) -> Outcome:
        await self._served.start.awaited(query)
        return self._healthy(b"\n")

    def _healthy(self, body: bytes) -> Answer | Failure:
        return Answer(200, body) if self._served.serving else self._served.not_ready()

    def _version(self, exchange: Exchange) -> Handled:
        del exchange
        version = self._told_version()
        return self._served.not_ready() if version is None else Answer(200, version.encode())
