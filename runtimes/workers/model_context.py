"""ModelContext: what a worker is told of a request's trace: the span of the model's call, which the sidecar makes."""

import socket
from typing import Final

from headrace.contract import trace_context
from headrace.contract.trace_context import MODEL

_PLACE: Final = socket.gethostname()
"""The pod's name, for its sidecar too."""


def model_context(header: bytes | None) -> str | None:
    """The header `traceparent` for the model, of that of its request; None without a trace."""
    found = None if header is None else trace_context.read(header.decode("latin-1"))
    if found is None:
        return None
    return found._replace(span_id=trace_context.span_id(found.span_id, MODEL, _PLACE)).header()
