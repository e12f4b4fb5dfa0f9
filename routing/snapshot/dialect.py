"""Dialect: the proxies' own refusals in the words of the caller's protocol, chosen by path.

| path                                                        | body                                       |
|-------------------------------------------------------------|--------------------------------------------|
| `…/v2/…` (Open Inference)                                   | `{"error": message}`                       |
| `…/v1/…`, `/serving-endpoints/chat/completions` and siblings | `{"error": {"message", "type", "code"}}`   |
| everything else (Databricks, MLflow)                        | `{"error_code", "message"}`                |

A call of gRPC gets the status and the sentence in gRPC's own way, whatever its path.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from headrace.routing.snapshot import access, by_model, paths
from headrace.routing.snapshot.options import MEBIBYTE, Options
from headrace.routing.snapshot.resources import Body

_PREFIX: Final = r"(/serving-endpoints)?(/[^/]+)?(/served-models/[^/]+)?"
OPEN_INFERENCE_PATH: Final = rf"^{_PREFIX}/v2([/?].*)?$"
OPENAI_PATH: Final = (
    rf"^({_PREFIX}/v1([/?].*)?|/serving-endpoints/(chat/completions|completions|embeddings|responses).*)$"
)
_GRPC_CODES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""In the order of their numbers."""
_TWO_HOSTS: Final = "The request names more than one host."


@dataclass(frozen=True)
class Refusal:
    """One answer that a proxy gives by itself. `status` is matched; `error_code` is what the Databricks SDK reads."""

    status: int
    error_code: str
    openai_type: str
    grpc_status: str
    """Name of gRPC's status code."""
    message: str
    flags: tuple[str, ...] = ()
    """Envoy response flags, when the status alone says too little."""
    retry_seconds: int | None = None
    token_failed: bool = False
    """Only when the token filter refused: it says 403 to a wrong audience, but who the caller is remains unknown."""
    header: Body | None = None
    """Only for requests with this header: what `access.shape_filter` refuses has no status of its own."""
    answered_as: int | None = None
    """Status to send instead of `status`."""
    grpc_message: str | None = None
    """What is told over gRPC instead of `message`."""


def refusals(options: Options) -> tuple[Refusal, ...]:
    """In order: the first whose status and flags fit is used. %LOCAL_REPLY_BODY% is Envoy's own reason."""
    limit, by_model_limit = options.body_bytes // MEBIBYTE, options.model_body_bytes // MEBIBYTE
    invalid = "invalid_request_error"
    unauthenticated = Refusal(
        401,
        "UNAUTHENTICATED",
        "authentication_error",
        "UNAUTHENTICATED",
        f"%LOCAL_REPLY_BODY%; send 'Authorization: Bearer <token>' with a current token for audience "
        f"'{options.audience}'.",
    )
    malformed = Refusal(
        400, "BAD_REQUEST", invalid, "INVALID_ARGUMENT", "The request breaks HTTP: %RESPONSE_CODE_DETAILS%."
    )
    too_large = Refusal(
        413,
        "REQUEST_TOO_LARGE",
        invalid,
        "RESOURCE_EXHAUSTED",
        f"The request body is larger than {limit} MiB; send less at once.",
    )
    return (
        malformed,
        replace(malformed, status=403, header=access.two_hosts(), answered_as=400, message=_TWO_HOSTS),
        replace(
            too_large,
            header=by_model.asked(),
            message=f"The request body is larger than {by_model_limit} MiB; send less at once, or to the endpoint's "
            "own address.",
        ),
        too_large,
        replace(too_large, status=403, header=access.too_large(options), answered_as=413),
        unauthenticated,
        replace(unauthenticated, status=403, token_failed=True, answered_as=401),
        Refusal(
            403,
            "PERMISSION_DENIED",
            "permission_error",
            "PERMISSION_DENIED",
            "The token's subject may not call this endpoint.",
        ),
        Refusal(
            404,
            "RESOURCE_DOES_NOT_EXIST",
            invalid,
            "NOT_FOUND",
            "No endpoint has the name that the request's body gives as 'model', a text.",
            header=by_model.asked(),
        ),
        Refusal(
            404,
            "RESOURCE_DOES_NOT_EXIST",
            invalid,
            "NOT_FOUND",
            "No endpoint or version is served at this path.",
            grpc_message=f"No endpoint, or no version of it, is served under the name in the metadata: say "
            f"{paths.ENDPOINT_METADATA} and, where a version is wanted, {paths.VERSION_METADATA}.",
        ),
        Refusal(
            405,
            "METHOD_NOT_ALLOWED",
            invalid,
            "UNIMPLEMENTED",
            "This method is not allowed here; Allow says which are.",
        ),
        Refusal(
            408,
            "REQUEST_TIMEOUT",
            invalid,
            "DEADLINE_EXCEEDED",
            "The request did not arrive completely in time; send it again.",
        ),
        Refusal(426, "BAD_REQUEST", invalid, "INVALID_ARGUMENT", "Protocol upgrades are not served."),
        Refusal(
            429,
            "REQUEST_LIMIT_EXCEEDED",
            "rate_limit_error",
            "RESOURCE_EXHAUSTED",
            "Too many requests; slow down.",
            retry_seconds=options.overload_retry_seconds,
        ),
        Refusal(
            431,
            "REQUEST_HEADERS_TOO_LARGE",
            invalid,
            "INVALID_ARGUMENT",
            "The request's line and headers are too large.",
        ),
        Refusal(500, "INTERNAL_ERROR", "server_error", "INTERNAL", "The platform failed to handle the request."),
        Refusal(501, "NOT_IMPLEMENTED", invalid, "UNIMPLEMENTED", "This method is not served."),
        Refusal(502, "INTERNAL_ERROR", "server_error", "INTERNAL", "The model server's answer was not valid HTTP."),
        Refusal(
            503,
            "TEMPORARILY_UNAVAILABLE",
            "server_error",
            "UNAVAILABLE",
            "No replica of the model is ready yet.",
            flags=("UH", "NC"),
            retry_seconds=options.absent_retry_seconds,
        ),
        Refusal(
            503,
            "TEMPORARILY_UNAVAILABLE",
            "server_error",
            "UNAVAILABLE",
            "The model could not be reached; send the request again.",
            retry_seconds=options.overload_retry_seconds,
        ),
        Refusal(
            504,
            "DEADLINE_EXCEEDED",
            "server_error",
            "DEADLINE_EXCEEDED",
            "The model did not answer within the endpoint's time limit.",
        ),
    )


def local_replies(options: Options) -> Body:
    """`local_reply_config` of an HTTP connection manager."""
    return {
        "mappers": [mapper for refusal in refusals(options) for mapper in _mappers(refusal)],
        "body_format": {
            "json_format": {"error_code": "BAD_REQUEST", "message": "The request was refused: %RESPONSE_CODE_DETAILS%."}
        },
    }


def grpc_request() -> Body:
    """Matches a call of gRPC."""
    return {"name": "content-type", "string_match": {"safe_regex": {"regex": paths.GRPC_CONTENT}}}


def _mappers(refusal: Refusal) -> list[Body]:
    """gRPC first: whatever its path, it has one dialect."""
    told = refusal.message if refusal.grpc_message is None else refusal.grpc_message
    status = {"grpc-status": str(_GRPC_CODES.index(refusal.grpc_status))}
    if refusal.retry_seconds is not None:
        status["grpc-retry-pushback-ms"] = str(1000 * refusal.retry_seconds)
    openai = {"message": refusal.message, "type": refusal.openai_type, "code": refusal.error_code.lower()}
    plain = {"error_code": refusal.error_code, "message": refusal.message}
    return [
        _mapper(refusal, [grpc_request()], {"text_format_source": {"inline_string": told}}, status),
        _mapper(refusal, [_at(OPEN_INFERENCE_PATH)], {"json_format": {"error": refusal.message}}),
        _mapper(refusal, [_at(OPENAI_PATH)], {"json_format": {"error": openai}}),
        _mapper(refusal, [], {"json_format": plain}),
    ]


def _at(path: str) -> Body:
    return {"name": ":path", "string_match": {"safe_regex": {"regex": path}}}


def _mapper(refusal: Refusal, headers: list[Body], body: Body, added: Mapping[str, str] = MappingProxyType({})) -> Body:
    filters: list[Body] = [
        {
            "status_code_filter": {
                "comparison": {
                    "op": "EQ",
                    "value": {"default_value": refusal.status, "runtime_key": "headrace.unused"},
                }
            }
        }
    ]
    matched = headers if refusal.header is None else [*headers, refusal.header]
    filters += [{"header_filter": {"header": header}} for header in matched]
    if refusal.token_failed:
        failed = {"filter": access.JWT_FILTER, "path": [{"key": access.FAILED_KEY}], "value": {"present_match": True}}
        filters.append({"metadata_filter": {"matcher": failed, "match_if_key_not_found": False}})
    if refusal.flags:
        filters.append({"response_flag_filter": {"flags": list(refusal.flags)}})
    mapper: Body = {
        "filter": filters[0] if len(filters) == 1 else {"and_filter": {"filters": filters}},
        "body_format_override": body,
    }
    if refusal.answered_as is not None:
        mapper["status_code"] = refusal.answered_as
    retry = {} if refusal.retry_seconds is None else {"retry-after": str(refusal.retry_seconds)}
    if retry or added:
        mapper["headers_to_add"] = [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in {**retry, **added}.items()
        ]
    return mapper
