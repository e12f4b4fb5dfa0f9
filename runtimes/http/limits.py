"""What a connection takes of its caller, and what is said to one that sends more, or no HTTP."""

import re
from typing import Final

from headrace.runtimes.protocols.errors import Failure, Reason

LONGEST_FIELD: Final = 8190
"""Bytes of a URL, or of a header's name and value."""
MOST_FIELDS: Final = 100
LONGEST_HEAD: Final = 64 * 1024
"""Bytes of a head that is not complete: a proxy in front sends at most 60 KiB."""
SLICE: Final = 16 * 1024
"""Bytes that the parser is given at once: what it finds in them is kept, and more only when it is answered."""
MOST_AHEAD_BYTES: Final = 64 * 1024
"""Bytes read behind a request that is being answered before reading pauses."""
MOST_DISCARDED_BYTES: Final = 64 * 1024
"""A longer body of a request that its head has refused is not read: the answer comes at once, and the end."""
MOST_FRAMING: Final = 8
MOST_FRAMED_BYTES: Final = 1024 * 1024
"""Bytes of chunk sizes, extensions and trailers that come with each byte of a body, up to so many bytes of it: enough
for chunks of one byte, and an end to a trailer without one."""
LINGER_SECONDS: Final = 2.0
"""How long such a caller may take to read the answer while what it still sends is thrown away: closing at once would
reset the connection under it."""
IDLE_SECONDS: Final = 75
"""Silence after which a connection ends. Longer than Envoy's 60 s, so that Envoy closes first and never reuses a
connection that was just closed."""
FRESH_SECONDS: Final = 1
"""A connection that has just been opened gets so long for its first request, also while the pod drains."""

NOT_HTTP: Final = Failure(Reason.BAD_REQUEST, "The request is not valid HTTP.")
NO_HOST: Final = Failure(Reason.BAD_REQUEST, "The request has no Host header, which HTTP/1.1 requires.")
TWO_HOSTS: Final = Failure(Reason.BAD_REQUEST, "The request has more than one Host header.")
UNKNOWN_CODING: Final = Failure(Reason.NOT_IMPLEMENTED, "Transfer-Encoding must be chunked and nothing else.")
LONG_URL: Final = Failure(Reason.URL_TOO_LONG, "The request line is too long.")
LARGE_HEAD: Final = Failure(Reason.HEAD_TOO_LARGE, "The request headers are too large or too many.")
NO_WEBSOCKETS: Final = Failure(Reason.UPGRADE_REQUIRED, "There is nothing behind a WebSocket here; use HTTP/1.1.")
NO_UPGRADE: Final = Failure(Reason.NOT_IMPLEMENTED, "A request with a body cannot ask for an upgrade as well.")
"""The parser takes what follows such a head for another protocol; readers before it may have taken it for a body."""
UNFINISHED: Final = Failure(Reason.SLOW_CALLER, "The rest of the request did not come.")
REQUEST_LINE: Final = re.compile(rb"(?:\r\n)*[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} (/[!-~]*) HTTP/1\.[01]\r\n")
