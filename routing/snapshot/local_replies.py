"""Local replies: responses that a proxy gives by itself (Envoy's term), each in the format of the caller's protocol.

| path                                                        | body                                       |
|-------------------------------------------------------------|--------------------------------------------|
| `…/v2/…` (Open Inference)                                   | `{"error": message}`                       |
| `…/v1/…`, `/serving-endpoints/chat/completions` and siblings | `{"error": {"message", "type", "code"}}`   |
| everything else (Databricks, MLflow)                        | `{"error_code", "message"}`                |

A gRPC call gets `grpc-status` and `grpc-message`, whatever its path.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final

from headrace.contract import console
from headrace.routing.snapshot import access, body_based_routing, issuer_claims, paths
from headrace.routing.snapshot.options import MEBIBYTE, Options
from headrace.routing.snapshot.resources import Body, header_option


class Dialect(Enum):
    """How a refusal is written."""

    DATABRICKS = "databricks"
    OPEN_INFERENCE = "open inference"
    OPENAI = "openai"


_VERSION: Final = r"(/served-models/[^/?]+)?"
_LONG, _SHORT = (rf"{pattern}{_VERSION}" for pattern in (r"/serving-endpoints/[^/?]+", r"/[^/?]+"))
_INNER: Final = r"/served-models/[^/?]+"
"""What the LoadBalancer gets of an address of a version, and keeps as the caller's when it rewrites that in turn."""
_BELOW: Final = r"([/?].*)?"
DIALECTS: Final = (
    (rf"({_LONG}|{_INNER}|{_SHORT})/invocations/?(\?.*)?", Dialect.DATABRICKS),
    (rf"({_LONG}|{_INNER})/v2{_BELOW}", Dialect.OPEN_INFERENCE),
    (rf"({_LONG}|{_INNER})/v1{_BELOW}", Dialect.OPENAI),
    (rf"{_SHORT}/v2{_BELOW}", Dialect.OPEN_INFERENCE),
    (rf"{_SHORT}/v1{_BELOW}", Dialect.OPENAI),
    (rf"/v2{_BELOW}", Dialect.OPEN_INFERENCE),
    (rf"/v1{_BELOW}|{body_based_routing.PATH}(\?.*)?", Dialect.OPENAI),
)
"""Patterns of callers' paths, each with its dialect; the first that fits counts, as endpoints and versions may be
called `v1`, `v2` and `serving-endpoints`. What fits none is Databricks'."""


class GrpcStatus(IntEnum):
    """Status codes of gRPC that a proxy gives by itself."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


_KINDS: Final = {
    "BAD_REQUEST": ("invalid_request_error", GrpcStatus.INVALID_ARGUMENT),
    "REQUEST_TOO_LARGE": ("invalid_request_error", GrpcStatus.RESOURCE_EXHAUSTED),
    "REQUEST_HEADERS_TOO_LARGE": ("invalid_request_error", GrpcStatus.INVALID_ARGUMENT),
    "UNAUTHENTICATED": ("authentication_error", GrpcStatus.UNAUTHENTICATED),
    "PERMISSION_DENIED": ("permission_error", GrpcStatus.PERMISSION_DENIED),
    "RESOURCE_DOES_NOT_EXIST": ("invalid_request_error", GrpcStatus.NOT_FOUND),
    "METHOD_NOT_ALLOWED": ("invalid_request_error", GrpcStatus.UNIMPLEMENTED),
    "NOT_IMPLEMENTED": ("invalid_request_error", GrpcStatus.UNIMPLEMENTED),
    "REQUEST_TIMEOUT": ("invalid_request_error", GrpcStatus.DEADLINE_EXCEEDED),
    "REQUEST_LIMIT_EXCEEDED": ("rate_limit_error", GrpcStatus.RESOURCE_EXHAUSTED),
    "INTERNAL_ERROR": ("server_error", GrpcStatus.INTERNAL),
    "TEMPORARILY_UNAVAILABLE": ("server_error", GrpcStatus.UNAVAILABLE),
    "DEADLINE_EXCEEDED": ("server_error", GrpcStatus.DEADLINE_EXCEEDED),
}
"""The error codes that the Databricks SDK reads, each with OpenAI's `type` of the error and gRPC's status."""
_UNKNOWN_MODEL: Final = "No endpoint has the name that the request's body gives as 'model', a text."
_UNKNOWN_PATH: Final = "No endpoint or version is served at this path."
_UNKNOWN_METADATA: Final = (
    "No endpoint, or no version of it, is served under the name in the message or in the "
    f"metadata: say {paths.ENDPOINT_METADATA} and, where a version is wanted, {paths.VERSION_METADATA} there."
)
_TWO_HOSTS: Final = "The request names more than one host."
_UNKNOWN_ENCODING: Final = (
    "The request's Transfer-Encoding is not 'chunked' and nothing else; send that, or a Content-Length."
)
_WITH_PULUMI: Final = (
    "Endpoints are made, changed and deleted with Pulumi (headrace.components.ModelEndpoint); here they can be read."
)
_NO_MANAGEMENT: Final = "The management API could not be reached; send the request again."
_NO_CONSOLE: Final = "The console could not be reached; it starts, or the platform has none. Try again."
ACTIVATOR_LOST_STATUS: Final = 530
"""Of a request for which no activator could answer, before it is answered as 503."""
STOPPED_STATUS: Final = 531
"""Of a request to a stopped endpoint, before it is answered as 503."""
_STOPPED: Final = (
    "The endpoint is stopped and answers nothing until it is started again with Pulumi, by the input stopped of its "
    "ModelEndpoint."
)
LIMITED_STATUS: Final = 510
"""Of a request beyond a limit, before it is answered as 429: Envoy has no flag yet when it chooses the words."""
_LIMITED: Final = (
    "More requests came in a minute than the endpoint lets in, of this caller or of all; send it again after the "
    "seconds that Retry-After says."
)
_LOST: Final = (
    "What held this request until a replica of the model would be ready was lost; no model has seen it: send it again."
)
_NO_REPLICA: Final = "No replica of the model is ready yet."
_FULL: Final = "Too many large request bodies are on their way at once; send it again, or send less in one."
_NOT_REACHED: Final = "The model could not be reached; send the request again."


@dataclass(frozen=True)
class LocalReply:
    """One response that a proxy gives by itself. `status` is matched."""

    status: int
    error_code: str
    """A key of _KINDS."""
    message: str
    flags: tuple[str, ...] = ()
    """Envoy response flags to match too, where one status has several causes."""
    retry_seconds: int | None = None
    token_failed: bool = False
    """Match only when the token filter refused: it answers 403 to a wrong audience, where 401 is right."""
    asked: Body | None = None
    """An access log filter. Match only these requests: what `access.shape_filter` refuses has no status of its own."""
    answered_as: int | None = None
    """Status to send instead of `status`."""
    grpc_message: str | None = None
    """Sent over gRPC instead of `message`."""

    @property
    def openai_type(self) -> str:
        """What OpenAI's clients read as the error's `type`."""
        return _KINDS[self.error_code][0]


def replies(options: Options) -> tuple[LocalReply, ...]:
    """In order: Envoy uses the first that matches. %LOCAL_REPLY_BODY% is Envoy's own reason."""
    malformed = LocalReply(400, "BAD_REQUEST", "The request breaks HTTP: %RESPONSE_CODE_DETAILS%.")
    more = f"The request body is larger than {options.body_bytes // MEBIBYTE} MiB; send less at once."
    more_than_routed = (
        f"The request body is larger than {options.model_body_bytes // MEBIBYTE} MiB; send less at once, or to the "
        "endpoint's own address."
    )
    too_large = LocalReply(413, "REQUEST_TOO_LARGE", more)
    token = f"send 'Authorization: Bearer <token>' with a current token for audience '{options.audience}'."
    unauthenticated = LocalReply(401, "UNAUTHENTICATED", f"%LOCAL_REPLY_BODY%; {token}")
    mixed = f"Authorization holds something beside one bearer token; {token}"
    asked = body_based_routing.asked()
    managed = paths.caller_path_matches(rf"{paths.MANAGEMENT}(\?.*)?")
    about_endpoints = paths.caller_path_matches(rf"({paths.MANAGEMENT}|{paths.HOST_PATHS})(\?.*)?")
    shown = paths.caller_path_matches(rf"{paths.CONSOLE}(\?.*)?")
    overload, absent = options.overload_retry_seconds, options.absent_retry_seconds
    upgrade = LocalReply(426, "BAD_REQUEST", "Protocol upgrades are not served.")
    return (
        malformed,
        *(replace(upgrade, status=403, asked=_with(asks), answered_as=426) for asks in paths.upgrades()),
        LocalReply(403, "BAD_REQUEST", _TWO_HOSTS, asked=_with(access.two_hosts()), answered_as=400),
        LocalReply(413, "REQUEST_TOO_LARGE", more_than_routed, asked=asked),
        too_large,
        *(
            replace(too_large, status=403, asked=_with(access.too_large(options, header)), answered_as=413)
            for header in (access.TOO_LARGE, access.REFUSED_HEADER)
        ),
        LocalReply(403, "UNAUTHENTICATED", mixed, asked=_with(access.mixed_credentials()), answered_as=401),
        unauthenticated,
        replace(unauthenticated, status=403, token_failed=True, answered_as=401),
        LocalReply(403, "PERMISSION_DENIED", "The token's subject may not call this endpoint."),
        LocalReply(404, "RESOURCE_DOES_NOT_EXIST", _UNKNOWN_MODEL, asked=asked),
        LocalReply(404, "RESOURCE_DOES_NOT_EXIST", _UNKNOWN_PATH, grpc_message=_UNKNOWN_METADATA),
        LocalReply(405, "METHOD_NOT_ALLOWED", _WITH_PULUMI, asked=managed),
        LocalReply(405, "METHOD_NOT_ALLOWED", "This method is not allowed here; Allow says which are."),
        LocalReply(408, "REQUEST_TIMEOUT", "The request did not arrive completely in time; send it again."),
        upgrade,
        LocalReply(LIMITED_STATUS, "REQUEST_LIMIT_EXCEEDED", _LIMITED, answered_as=429),
        LocalReply(429, "REQUEST_LIMIT_EXCEEDED", _FULL, retry_seconds=overload),
        LocalReply(431, "REQUEST_HEADERS_TOO_LARGE", "The request's line and headers are too large."),
        LocalReply(500, "INTERNAL_ERROR", "The platform failed to handle the request."),
        LocalReply(501, "NOT_IMPLEMENTED", _UNKNOWN_ENCODING, grpc_message="This method is not served."),
        LocalReply(502, "INTERNAL_ERROR", "The model server's answer was not valid HTTP."),
        LocalReply(503, "TEMPORARILY_UNAVAILABLE", _NO_MANAGEMENT, asked=about_endpoints, retry_seconds=overload),
        LocalReply(503, "TEMPORARILY_UNAVAILABLE", _NO_CONSOLE, asked=shown, retry_seconds=absent),
        # The activator says why, and when to come again.
        LocalReply(503, "TEMPORARILY_UNAVAILABLE", "%LOCAL_REPLY_BODY%", flags=("UAEX",)),
        LocalReply(ACTIVATOR_LOST_STATUS, "TEMPORARILY_UNAVAILABLE", _LOST, retry_seconds=overload, answered_as=503),
        LocalReply(STOPPED_STATUS, "TEMPORARILY_UNAVAILABLE", _STOPPED, answered_as=503),
        LocalReply(503, "TEMPORARILY_UNAVAILABLE", _NO_REPLICA, flags=("UH", "NC"), retry_seconds=absent),
        LocalReply(503, "TEMPORARILY_UNAVAILABLE", _NOT_REACHED, retry_seconds=overload),
        LocalReply(504, "DEADLINE_EXCEEDED", "The model did not answer within the endpoint's time limit."),
    )


def local_replies(options: Options) -> Body:
    """`local_reply_config` of an HTTP connection manager."""
    return {
        "mappers": [_said(200), *_to_login(), *(mapper for reply in replies(options) for mapper in _mappers(reply))],
        "body_format": {
            "json_format": {"error_code": "BAD_REQUEST", "message": "The request was refused: %RESPONSE_CODE_DETAILS%."}
        },
    }


def _said(status: int) -> Body:
    """Leaves a route's own words of this status as they are."""
    equal = {"op": "EQ", "value": {"default_value": status, "runtime_key": "headrace.unused"}}
    words = {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}}
    return {"filter": {"status_code_filter": {"comparison": equal}}, "body_format_override": words}


def _to_login() -> list[Body]:
    """Leads who opens the console without a token, or with one that is over, to where it is given: a browser shows
    people no refusal that they can do something about."""
    shown = paths.caller_path_matches(rf"{paths.CONSOLE}(\?.*)?")
    missing = LocalReply(401, "UNAUTHENTICATED", "", asked=shown, answered_as=303)
    said = {"text_format_source": {"inline_string": "Log in."}}
    lead = {"location": console.LOGIN_PATH}
    return [_mapper(reply, [], said, lead) for reply in (missing, replace(missing, status=403, token_failed=True))]


def grpc_request() -> Body:
    """A header matcher of gRPC calls."""
    return paths.header_matches("content-type", paths.GRPC_CONTENT)


def _mappers(reply: LocalReply) -> list[Body]:
    """One mapper for each format, in the order in which Envoy tries them; gRPC is first, because it has any path."""
    told = reply.message if reply.grpc_message is None else reply.grpc_message
    openai_type, grpc_status = _KINDS[reply.error_code]
    status = {"grpc-status": str(grpc_status.value)}
    if reply.retry_seconds is not None:
        status["grpc-retry-pushback-ms"] = str(1000 * reply.retry_seconds)
    documents = {
        Dialect.DATABRICKS: {"error_code": reply.error_code, "message": reply.message},
        Dialect.OPEN_INFERENCE: {"error": reply.message},
        Dialect.OPENAI: {"error": {"message": reply.message, "type": openai_type, "code": reply.error_code.lower()}},
    }
    return [
        _mapper(reply, [_with(grpc_request())], {"text_format_source": {"inline_string": told}}, status),
        *(
            _mapper(reply, [paths.caller_path_matches(pattern)], {"json_format": documents[dialect]})
            for pattern, dialect in DIALECTS
        ),
        _mapper(reply, [], {"json_format": documents[Dialect.DATABRICKS]}),
    ]


def _with(header: Body) -> Body:
    """An access log filter of requests with this header."""
    return {"header_filter": {"header": header}}


def _said_of_token(key: str, match: Body, *, where_absent: bool = False) -> Body:
    """An access log filter: what the token filter has put under this key matches."""
    said = {"filter": access.JWT_FILTER, "path": [{"key": key}], "value": match}
    return {"metadata_filter": {"matcher": said, "match_if_key_not_found": where_absent}}


def _mapper(reply: LocalReply, asked: list[Body], body: Body, added: Mapping[str, str] = MappingProxyType({})) -> Body:
    status = {"default_value": reply.status, "runtime_key": "headrace.unused"}
    filters: list[Body] = [{"status_code_filter": {"comparison": {"op": "EQ", "value": status}}}]
    filters += asked if reply.asked is None else [*asked, reply.asked]
    if reply.token_failed:
        filters.append(_said_of_token(access.FAILED_KEY, {"present_match": True}))
        # A good token of one issuer has failed at those that it was held against before.
        filters.append(_said_of_token(issuer_claims.CLAIMS_KEY, {"null_match": {}}, where_absent=True))
    if reply.flags:
        filters.append({"response_flag_filter": {"flags": list(reply.flags)}})
    all_match = filters[0] if len(filters) == 1 else {"and_filter": {"filters": filters}}
    mapper: Body = {"filter": all_match, "body_format_override": body}
    if reply.answered_as is not None:
        mapper["status_code"] = reply.answered_as
    told = {} if reply.retry_seconds is None else {"retry-after": str(reply.retry_seconds)}
    if reply.error_code == "UNAUTHENTICATED":
        # Envoy's own repeats the address that was asked, with its query, where people put tokens.
        told["www-authenticate"] = 'Bearer realm="headrace"'
    if told or added:
        mapper["headers_to_add"] = [header_option(*header) for header in {**told, **added}.items()]
    return mapper
