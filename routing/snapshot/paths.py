"""Paths of requests, and the matchers of them that both proxies share.

gRPC's paths are the same for every endpoint: metadata or the message names it and, where one is wanted, the version.
"""

import re
from typing import Final

from headrace.contract import console, names
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

MANAGEMENT: Final = r"/api/2\.0/(serving-)?endpoints(/.*)?"
"""Pattern of the paths of the management API; those without `serving-` are of MLflow's client of deployments."""
HOST_PATHS: Final = r"/v1/models(/[^/]+)?|/serving-endpoints/models|/v2/?|/v2/models/?|/v2/health/(live|ready)"
"""Pattern of what clients ask the host itself about, in OpenAI's and the Open Inference Protocol."""

CONSOLE: Final = rf"{console.ROOT}(/|/(login|logout|platform)|/(endpoints|static)/.*)?"
"""Pattern of the console's paths, which are none of an endpoint that is called `console`."""
CONSOLE_PUBLIC: Final = rf"{console.LOGIN_PATH}|{console.STATIC_PATH}/[a-zA-Z0-9._-]+"
"""Pattern of those that need no token: where a person gives it, and what that page looks like."""

ENDPOINT_METADATA: Final = "headrace-endpoint"
"""Metadata key of the endpoint's name. Not `x-headrace-…`: the PopProxy removes those from what clients send."""
VERSION_METADATA: Final = "headrace-version"
"""Metadata key of the version's name, for a client that wants one version whatever its weight."""
_CALLER_PATH: Final = "x-envoy-original-path"
"""Header that Envoy writes when it rewrites a path: what the path was before."""
GRPC_PREFIX: Final = f"/{names.GRPC_SERVICE}/"
GRPC_CONTENT: Final = r"application/grpc(\+.*)?"
"""Pattern of the content types of gRPC calls."""
GRPC_HOST_PATHS: Final = rf"{re.escape(GRPC_PREFIX)}Server[A-Za-z]+"
"""Pattern of the methods that ask about a server; without metadata that is the platform."""
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


def caller_path_matches(pattern: str) -> Body:
    """An access log filter: the path that the caller asked for, with its query, matches the pattern from end to end.

    A proxy that rewrites a path keeps the caller's in a header; clients cannot set that (`access.STRIPPED_PREFIXES`).
    """
    rewritten = {"header_filter": {"header": {"name": _CALLER_PATH, "present_match": True, "invert_match": True}}}
    as_it_came = [rewritten, {"header_filter": {"header": header_matches(":path", pattern)}}]
    kept = {"header_filter": {"header": header_matches(_CALLER_PATH, pattern)}}
    return {"or_filter": {"filters": [kept, {"and_filter": {"filters": as_it_came}}]}}


def header_is(name: str, pattern: str) -> Body:
    """A matcher's predicate: a header, or the whole path with its query, matches this pattern from end to end."""
    return _header(name, {"safe_regex": {"google_re2": {}, "regex": pattern}})


def header_has(name: str, part: str) -> Body:
    """A matcher's predicate: a header holds this text."""
    return _header(name, {"contains": part})


def header_begins(name: str, *starts: str) -> Body:
    """A matcher's predicate: a header begins with one of these texts."""
    return any_of(*(_header(name, {"prefix": start}) for start in starts))


def method_is(*methods: str) -> Body:
    """A matcher's predicate: the method is one of these."""
    return any_of(*(_header(":method", {"exact": method}) for method in methods))


def _header(name: str, match: Body) -> Body:
    return {"single_predicate": {"input": header_input(name), "value_match": match}}


def header_input(name: str) -> Body:
    """What a matcher looks at: this header."""
    kind = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
    return extension(name.lstrip(":"), kind, {"header_name": name})


def both(*predicates: Body) -> Body:
    """A matcher's predicate: all of these hold."""
    return {"and_matcher": {"predicate": list(predicates)}}


def any_of(*predicates: Body) -> Body:
    """A matcher's predicate: at least one of these holds."""
    return predicates[0] if len(predicates) == 1 else {"or_matcher": {"predicate": list(predicates)}}


def not_(predicate: Body) -> Body:
    """A matcher's predicate: this one does not hold."""
    return {"not_matcher": predicate}


def asks_endpoint(pattern: str) -> Body:
    """A matcher's predicate: a request to an endpoint at the address that the pattern describes."""
    scores = both(header_is(":path", rf"{pattern}/invocations/?(\?.*)?"), method_is("POST"))
    protocol = header_is(":path", rf"{pattern}({_PROTOCOLS})([/?].*)?")
    spoken = both(protocol, method_is(*PROTOCOL_METHODS))
    return any_of(scores, spoken)


def asks_grpc() -> Body:
    """A matcher's predicate: a call of the service, but for the method that is not served."""
    called = both(header_is(":path", rf"{re.escape(GRPC_PREFIX)}.*"), header_is("content-type", GRPC_CONTENT))
    return both(called, not_(header_is(":path", rf"{re.escape(GRPC_STREAM_PATH)}(\?.*)?")))


def grpc_call() -> Body:
    """The `match` of every gRPC call."""
    return {"prefix": GRPC_PREFIX, "grpc": {}}


def grpc_unnamed() -> Body:
    """The `match` of calls about a model without metadata, so that only the message says which model is meant."""
    absent = {"name": ENDPOINT_METADATA, "present_match": True, "invert_match": True}
    return {"safe_regex": {"regex": rf"{re.escape(GRPC_PREFIX)}Model[A-Za-z]+"}, "grpc": {}, "headers": [absent]}


def grpc_stream() -> Body:
    """The `match` of calls of the method that is not served."""
    return {"path": GRPC_STREAM_PATH, "grpc": {}}


def grpc_version(version: str | None) -> Body:
    """The `match` of calls that name this version or, with None, any version."""
    wanted: Body = {"present_match": True} if version is None else {"string_match": {"exact": version}}
    return {**grpc_call(), "headers": [{"name": VERSION_METADATA, **wanted}]}
