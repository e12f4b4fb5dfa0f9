"""Paths: what clients ask for beside `/invocations`, the same words in both proxies.

gRPC's paths are the same for every endpoint: metadata names the endpoint, and the version where one is wanted.
"""

import re
from typing import Final

from headrace.contract import names
from headrace.routing.snapshot.resources import Body, typed

PROTOCOL_PATHS: Final = ("/v1", "/v2")
"""OpenAI's and the Open Inference Protocol's; what lies under them is the pod's affair."""
PROTOCOL_METHODS: Final = ("GET", "POST")
_PROTOCOLS: Final = "|".join(PROTOCOL_PATHS)

ADDRESSES: Final = (
    ("/serving-endpoints/", r"/serving-endpoints/[^/?]+(/served-models/[^/?]+)?"),
    ("/", r"/[^/?]+"),
)
"""The addresses that each endpoint has: what stands before its name, and a pattern of all of it. An endpoint may be
called `serving-endpoints`, and what the first does not find is looked for by the second."""
_ANY_ENDPOINT: Final = r"/(serving-endpoints/)?[^/]+(/served-models/[^/]+)?"
ANY_INVOCATION: Final = rf"{_ANY_ENDPOINT}/invocations/?"
ANY_PROTOCOL: Final = rf"{_ANY_ENDPOINT}({_PROTOCOLS})(/.*)?"
"""Patterns of paths without their query."""

ENDPOINT_METADATA: Final = "headrace-endpoint"
"""A client says here which endpoint it asks. Not `x-headrace-…`, which the PopProxy removes from what clients send."""
VERSION_METADATA: Final = "headrace-version"
"""A client says here which version it asks, where it wants one whatever its weight."""
GRPC_PREFIX: Final = f"/{names.GRPC_SERVICE}/"
GRPC_CONTENT: Final = r"application/grpc(\+.*)?"
"""Pattern of the content types of calls."""
GRPC_STREAM_PATH: Final = f"{GRPC_PREFIX}ModelStreamInfer"
"""Not served: a request is collected whole before it goes on, and a stream has no end to wait for."""


def header_is(name: str, pattern: str) -> Body:
    """A matcher's predicate: a header, or the whole path with its query, matches this pattern from end to end."""
    return _header(name, {"safe_regex": {"google_re2": {}, "regex": pattern}})


def header_has(name: str, part: str) -> Body:
    """A matcher's predicate: a header holds this text."""
    return _header(name, {"contains": part})


def method_is(*methods: str) -> Body:
    """A matcher's predicate: the method is one of these."""
    several = [_header(":method", {"exact": method}) for method in methods]
    return several[0] if len(several) == 1 else {"or_matcher": {"predicate": several}}


def _header(name: str, match: Body) -> Body:
    config = typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", {"header_name": name})
    return {"single_predicate": {"input": {"name": name.lstrip(":"), "typed_config": config}, "value_match": match}}


def both(*predicates: Body) -> Body:
    """A matcher's predicate: all of these hold."""
    return {"and_matcher": {"predicate": list(predicates)}}


def asks_endpoint(pattern: str) -> Body:
    """A matcher's predicate: a request to an endpoint at the address that the pattern describes."""
    scores = both(header_is(":path", rf"{pattern}/invocations/?(\?.*)?"), method_is("POST"))
    protocol = header_is(":path", rf"{pattern}({_PROTOCOLS})([/?].*)?")
    spoken = both(protocol, method_is(*PROTOCOL_METHODS))
    return {"or_matcher": {"predicate": [scores, spoken]}}


def asks_grpc() -> Body:
    """A matcher's predicate: a call of the service, but for the method that is not served."""
    called = both(header_is(":path", rf"{re.escape(GRPC_PREFIX)}.*"), header_is("content-type", GRPC_CONTENT))
    return both(called, {"not_matcher": header_is(":path", rf"{re.escape(GRPC_STREAM_PATH)}(\?.*)?")})


def grpc_call() -> Body:
    """Matches every call."""
    return {"prefix": GRPC_PREFIX, "grpc": {}}


def grpc_stream() -> Body:
    """Matches calls of the method that is not served."""
    return {"path": GRPC_STREAM_PATH, "grpc": {}}


def grpc_version(version: str | None) -> Body:
    """Matches calls that ask for this version; None: for any."""
    wanted: Body = {"present_match": True} if version is None else {"string_match": {"exact": version}}
    return {**grpc_call(), "headers": [{"name": VERSION_METADATA, **wanted}]}
