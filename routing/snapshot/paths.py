"""Paths of requests, and the matchers of them that both proxies share.

gRPC's paths are the same for every endpoint: metadata names the endpoint and, where one is wanted, the version.
"""

import re
from typing import Final

from headrace.contract import names
from headrace.routing.snapshot.resources import Body, extension

PROTOCOL_PATHS: Final = ("/v1", "/v2")
"""Prefixes of OpenAI's API and of the Open Inference Protocol; the pod handles the paths below."""
PROTOCOL_METHODS: Final = ("GET", "POST")
_PROTOCOLS: Final = "|".join(PROTOCOL_PATHS)

ADDRESSES: Final = (
    ("/serving-endpoints/", r"/serving-endpoints/[^/?]+(/served-models/[^/?]+)?"),
    ("/", r"/[^/?]+"),
)
"""The addresses of each endpoint: the prefix before its name, and a pattern of the whole address. They are tried in
this order, so that an endpoint may be called `serving-endpoints`."""
_ANY_ENDPOINT: Final = r"/(serving-endpoints/)?[^/]+(/served-models/[^/]+)?"
ANY_INVOCATION: Final = rf"{_ANY_ENDPOINT}/invocations/?"
ANY_PROTOCOL: Final = rf"{_ANY_ENDPOINT}({_PROTOCOLS})(/.*)?"
"""Patterns of paths without their query."""

ENDPOINT_METADATA: Final = "headrace-endpoint"
"""Metadata key of the endpoint's name. Not `x-headrace-…`: the PopProxy removes those from what clients send."""
VERSION_METADATA: Final = "headrace-version"
"""Metadata key of the version's name, for a client that wants one version whatever its weight."""
GRPC_PREFIX: Final = f"/{names.GRPC_SERVICE}/"
GRPC_CONTENT: Final = r"application/grpc(\+.*)?"
"""Pattern of the content types of gRPC calls."""
GRPC_STREAM_PATH: Final = f"{GRPC_PREFIX}ModelStreamInfer"
"""A method that is not served: the PopProxy buffers whole requests, and a stream has no end to wait for."""


def at_most(number: int) -> str:
    """A pattern of the decimal numbers up to this one, which is the largest of its digits: 999, for example."""
    assert set(str(number)) == {"9"}, number
    return rf"0*\d{{1,{len(str(number))}}}"


def header_matches(name: str, pattern: str) -> Body:
    """A header matcher: this header matches the pattern from end to end."""
    return {"name": name, "string_match": {"safe_regex": {"regex": pattern}}}


def upgrades() -> tuple[Body, ...]:
    """Header matchers of requests for another protocol; Envoy keeps `upgrade` only where `connection` names it."""
    return {"name": "upgrade", "present_match": True}, {"name": ":method", "string_match": {"exact": "CONNECT"}}


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
    return {"single_predicate": {"input": header_input(name), "value_match": match}}


def header_input(name: str) -> Body:
    """What a matcher looks at: this header."""
    kind = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
    return extension(name.lstrip(":"), kind, {"header_name": name})


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
    """The `match` of every gRPC call."""
    return {"prefix": GRPC_PREFIX, "grpc": {}}


def grpc_stream() -> Body:
    """The `match` of calls of the method that is not served."""
    return {"path": GRPC_STREAM_PATH, "grpc": {}}


def grpc_version(version: str | None) -> Body:
    """The `match` of calls that name this version or, with None, any version."""
    wanted: Body = {"present_match": True} if version is None else {"string_match": {"exact": version}}
    return {**grpc_call(), "headers": [{"name": VERSION_METADATA, **wanted}]}
