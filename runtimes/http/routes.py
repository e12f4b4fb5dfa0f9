"""What is at each path, and how an exchange is led there."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, TypeAlias

from headrace.runtimes.calls import Outcome
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.protocols import errors
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Dialect, Failure

log = logging.getLogger("headrace.front")

Handled: TypeAlias = Outcome | Coroutine[Any, Any, Outcome] | None
"""What a handler makes of an exchange: its outcome, a coroutine that comes to it, or None where the queue will tell."""


class Route(NamedTuple):
    """What is at a path."""

    methods: str
    """As the header Allow has them. HEAD is answered wherever GET is."""
    handle: Callable[[Exchange], Handled]
    predicts: bool = False
    """Whether it asks for a prediction, so that its answers are counted."""

    def answers(self, method: str) -> bool:
        """Whether a request of that method is one for it."""
        return (
            method == self.methods or method in self.methods.split(", ") or (method == "HEAD" and "GET" in self.methods)
        )


Routes: TypeAlias = Mapping[str, Route]


class Router:
    """All paths of one port."""

    def __init__(self, routes: Routes, missing: Callable[[str], Failure] = lambda path: errors.NOTHING_HERE) -> None:
        """`missing` words the failure of a path that is none of `routes`."""
        self._found: dict[str, tuple[Route, Dialect]] = {}
        self._missing = missing
        self.add(routes)

    def add(self, routes: Routes) -> None:
        """There is something at these paths, too."""
        self._found.update({path: (route, Dialect.of_path(path)) for path, route in routes.items()})

    def allowed(self, path: str) -> str | None:
        """The methods that a path answers; None where there is nothing."""
        found = self._found.get(path)
        return found[0].methods if found is not None else None

    def handle(self, exchange: Exchange, refused: Failure | None = None) -> None:
        """Answers an exchange, now or later. `refused`: why it must not be handled; then only that is said."""
        path = exchange.path
        found = self._found.get(path)
        if found is None:
            found = self._found.get(path.rstrip("/"))
        if found is None:
            exchange.dialect = Dialect.of_path(path)
            exchange.set_result(self._missing(path.rstrip("/")) if refused is None else refused)
            return
        route, exchange.dialect = found
        if exchange.method != route.methods and not route.answers(exchange.method):
            exchange.set_result(errors.wrong_method(route.methods) if refused is None else refused)
            return
        exchange.counts = route.predicts
        if refused is not None:
            exchange.set_result(refused)
            return
        handled: Handled
        try:
            handled = route.handle(exchange)
        except Exception:
            log.exception("a request failed inside the front")
            handled = errors.FAILED_INSIDE
        if handled is None:
            return
        if isinstance(handled, Answer | Failure):
            exchange.set_result(handled)
        elif isinstance(handled, Coroutine):
            exchange.run(handled)
        else:
            exchange.set_result(handled)
