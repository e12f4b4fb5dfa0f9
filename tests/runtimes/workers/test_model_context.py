"""What a model is told of its request's trace."""

import socket

from headrace.contract import trace_context
from headrace.runtimes.workers.model_context import model_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_the_span_of_its_call_in_the_request_s_trace() -> None:
    told = model_context(f"00-{TRACE}-{SPAN}-01".encode())

    assert told == f"00-{TRACE}-{trace_context.span_id(SPAN, trace_context.MODEL, socket.gethostname())}-01"


def test_a_model_is_told_that_its_trace_is_not_sampled() -> None:
    told = model_context(f"00-{TRACE}-{SPAN}-00".encode())

    assert told is not None
    assert told.endswith("-00")


def test_nothing_without_a_trace() -> None:
    assert model_context(None) is None
    assert model_context(b"00-what-ever-01") is None
