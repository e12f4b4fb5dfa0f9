"""Dialect: the proxies' own refusals in the words of the caller's protocol, chosen by path.

| path                                                        | body                                       |
|-------------------------------------------------------------|--------------------------------------------|
| `…/v2/…` (Open Inference)                                   | `{"error": message}`                       |
| `…/v1/…`, `/serving-endpoints/chat/completions` and siblings | `{"error": {"message", "type", "code"}}`   |
| everything else (Databricks, MLflow)                        | `{"error_code", "message"}`                |
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from headrace.routing.snapshot import access
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body

_PREFIX: Final = r"(/serving-endpoints)?(/[^/]+)?(/served-models/[^/]+)?"
OPEN_INFERENCE_PATH: Final = rf"^{_PREFIX}/v2([/?].*)?$"
OPENAI_PATH: Final = (
    rf"^({_PREFIX}/v1([/?].*)?|/serving-endpoints/(chat/completions|completions|embeddings|responses).*)$"
)
_TWO_HOSTS: Final = "The request names more than one host."


@dataclass(frozen=True)
class Refusal:
    """One answer that a proxy gives by itself. `status` is matched; `error_code` is what the Databricks SDK reads."""

    status: int
    error_code: str
    openai_type: str
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


def refusals(options: Options) -> tuple[Refusal, ...]:
    """In order: the first whose status and flags fit is used. %LOCAL_REPLY_BODY% is Envoy's own reason."""
    limit = options.body_bytes // (1024 * 1024)
    invalid = "invalid_request_error"
    unauthenticated = Refusal(
        401,
        "UNAUTHENTICATED",
        "authentication_error",
        f"%LOCAL_REPLY_BODY%; send 'Authorization: Bearer <token>' with a current token for audience "
        f"'{options.audience}'.",
    )
    malformed = Refusal(400, "BAD_REQUEST", invalid, "The request breaks HTTP: %RESPONSE_CODE_DETAILS%.")
    too_large = Refusal(
        413, "REQUEST_TOO_LARGE", invalid, f"The request body is larger than {limit} MiB; send less at once."
    )
    return (
        malformed,
        replace(malformed, status=403, header=access.two_hosts(), answered_as=400, message=_TWO_HOSTS),
        too_large,
        replace(too_large, status=403, header=access.too_large(options), answered_as=413),
        unauthenticated,
        replace(unauthenticated, status=403, token_failed=True, answered_as=401),
        Refusal(403, "PERMISSION_DENIED", "permission_error", "The token's subject may not call this endpoint."),
        Refusal(404, "RESOURCE_DOES_NOT_EXIST", invalid, "No endpoint or version is served at this path."),
        Refusal(405, "METHOD_NOT_ALLOWED", invalid, "Only POST is allowed at this path."),
        Refusal(408, "REQUEST_TIMEOUT", invalid, "The request did not arrive completely in time; send it again."),
        Refusal(426, "BAD_REQUEST", invalid, "Protocol upgrades are not served."),
        Refusal(
            429,
            "REQUEST_LIMIT_EXCEEDED",
            "rate_limit_error",
            "Too many requests; slow down.",
            retry_seconds=options.overload_retry_seconds,
        ),
        Refusal(431, "REQUEST_HEADERS_TOO_LARGE", invalid, "The request's line and headers are too large."),
        Refusal(500, "INTERNAL_ERROR", "server_error", "The platform failed to handle the request."),
        Refusal(502, "INTERNAL_ERROR", "server_error", "The model server's answer was not valid HTTP."),
        Refusal(
            503,
            "TEMPORARILY_UNAVAILABLE",
            "server_error",
            "No replica of the model is ready yet.",
            flags=("UH", "NC"),
            retry_seconds=options.absent_retry_seconds,
        ),
        Refusal(
            503,
            "TEMPORARILY_UNAVAILABLE",
            "server_error",
            "The model could not be reached; send the request again.",
            retry_seconds=options.overload_retry_seconds,
        ),
        Refusal(504, "DEADLINE_EXCEEDED", "server_error", "The model did not answer within the endpoint's time limit."),
    )


def local_replies(options: Options) -> Body:
    """`local_reply_config` of an HTTP connection manager."""
    mappers = [
        _mapper(refusal, path, body)
        for refusal in refusals(options)
        for path, body in (
            (OPEN_INFERENCE_PATH, {"error": refusal.message}),
            (
                OPENAI_PATH,
                {
                    "error": {
                        "message": refusal.message,
                        "type": refusal.openai_type,
                        "code": refusal.error_code.lower(),
                    }
                },
            ),
            (None, {"error_code": refusal.error_code, "message": refusal.message}),
        )
    ]
    return {
        "mappers": mappers,
        "body_format": {
            "json_format": {"error_code": "BAD_REQUEST", "message": "The request was refused: %RESPONSE_CODE_DETAILS%."}
        },
    }


def _mapper(refusal: Refusal, path: str | None, body: dict[str, Any]) -> Body:
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
    if path is not None:
        filters.append(
            {"header_filter": {"header": {"name": ":path", "string_match": {"safe_regex": {"regex": path}}}}}
        )
    if refusal.header is not None:
        filters.append({"header_filter": {"header": refusal.header}})
    if refusal.token_failed:
        failed = {"filter": access.JWT_FILTER, "path": [{"key": access.FAILED_KEY}], "value": {"present_match": True}}
        filters.append({"metadata_filter": {"matcher": failed, "match_if_key_not_found": False}})
    if refusal.flags:
        filters.append({"response_flag_filter": {"flags": list(refusal.flags)}})
    mapper: Body = {
        "filter": filters[0] if len(filters) == 1 else {"and_filter": {"filters": filters}},
        "body_format_override": {"json_format": body},
    }
    if refusal.answered_as is not None:
        mapper["status_code"] = refusal.answered_as
    if refusal.retry_seconds is not None:
        mapper["headers_to_add"] = [
            {
                "header": {"key": "retry-after", "value": str(refusal.retry_seconds)},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ]
    return mapper
