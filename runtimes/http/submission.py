"""From an exchange to the queue: its body as its protocol reads it, admission, and the call whose outcome it gets."""

from typing import Final

from headrace.contract import trace_context
from headrace.runtimes.calls import Waiting, Work
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.served import Served
from headrace.runtimes.protocols import request_body
from headrace.runtimes.protocols.errors import Failure

_TRACE: Final = trace_context.HEADER.encode()
LOOKS_EVERY: Final = 32
"""Refusals, some 15 µs each, between two looks at what the workers have answered: thousands to refuse must not keep an
idle worker from its next call."""


def plain_body(exchange: Exchange, *, marked: bool = False) -> bytes | Failure:
    """The body without its content encoding, counted as it is then; with its byte order mark where `marked`."""
    body = request_body.decoded(exchange.fields.get(b"content-encoding"), exchange.body, marked=marked)
    if isinstance(body, Failure):
        return body
    exchange.body = body
    exchange.hold(len(body))
    return body


def json_body(exchange: Exchange) -> bytes | Failure:
    """The same of a body that must be JSON."""
    body = plain_body(exchange)
    if isinstance(body, Failure):
        return body
    fault = request_body.json_fault(body)
    return body if fault is None else fault


def refuse(served: Served) -> Failure:
    """Counts and refuses a request for which there is no room in the queue."""
    if served.dispatcher.metrics.refused % LOOKS_EVERY == 0:
        served.backend.look()
    return served.dispatcher.admission.refuse()


def submit(
    served: Served, exchange: Exchange, work: Work, waiting: Waiting, *, timeout_seconds: float | None = None
) -> Failure | None:
    """Queues the work of an exchange, whose outcome `waiting` gets; or the refusal."""
    call = served.dispatcher.admit(work, waiting, timeout_seconds=timeout_seconds)
    if isinstance(call, Failure):
        return call
    exchange.call = call
    call.trace = exchange.fields.get(_TRACE)
    return None
