"""W3C trace context: the header `traceparent`, and ids of spans that two programs must find alike.

https://www.w3.org/TR/trace-context/: version, trace id, id of the parent span, flags; in lower-case hexadecimal.
"""

import hashlib
import re
from typing import Final, NamedTuple

HEADER: Final = "traceparent"
_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class TraceContext(NamedTuple):
    """Where a request is in its trace."""

    trace_id: str
    span_id: str
    """Of the span that it comes from."""
    is_sampled: bool = True
    """Whether its caller records the trace, and who is called shall."""

    def header(self) -> str:
        """The value of HEADER."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02}"


def read(value: str | None) -> TraceContext | None:
    """Of a header's value; None for one that is absent or not of the standard's form."""
    found = None if value is None else _FORM.fullmatch(value)
    return None if found is None else TraceContext(found[1], found[2], bool(int(found[3], 16) & 1))


def span_id(parent: str, part: str, place: str) -> str:
    """Id of the span of a `part` of what the span `parent` began, at a `place`, a pod.

    A digest and no number by chance: the front tells it to the model before the sidecar makes the span, and a request
    that is tried again at another pod has other spans there.
    """
    return hashlib.blake2b(f"{parent}/{part}/{place}".encode(), digest_size=8).hexdigest()


REQUEST: Final = "request"
MODEL: Final = "model"
"""Parts of a request in a pod whose spans others are below."""
