"""traceparent, as the W3C writes it."""

import pytest

from headrace.contract import trace_context
from headrace.contract.trace_context import TraceContext

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True), (f"00-{TRACE}-{SPAN}-00", False), (f"00-{TRACE}-{SPAN}-fe", False),
        (f"cc-{TRACE}-{SPAN}-03-what-comes", True),
    ],
)  # fmt: skip
def test_a_header_of_the_standard_is_read_and_written(value: str, sampled: bool) -> None:
    found = trace_context.read(value)

    assert found == TraceContext(TRACE, SPAN, sampled)
    assert trace_context.read(found.header()) == found


@pytest.mark.parametrize(
    "value",
    [
        None, "", f"00-{TRACE}-{SPAN}", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE[:-1]}-{SPAN}-01",
    ],
)  # fmt: skip
def test_another_is_none(value: str | None) -> None:
    assert trace_context.read(value) is None


def test_two_programs_find_the_same_id_and_two_pods_do_not() -> None:
    assert trace_context.span_id(SPAN, "model", "pod-1") == trace_context.span_id(SPAN, "model", "pod-1")
    ids = {trace_context.span_id(SPAN, part, pod) for part in ("model", "request") for pod in ("pod-1", "pod-2")}
    assert len(ids) == 4
    assert all(trace_context.read(f"00-{TRACE}-{each}-01") for each in ids)
