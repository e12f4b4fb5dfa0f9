"""The activator's gRPC services: Envoy's external authorization, which holds a request until it is answered, and its
access log, which tells of the end of each request that was given to a pod."""

# mypy: disable-error-code="import-untyped"
# grpcio and the generated protobuf classes carry no types.

import ipaddress
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc.aio
from envoy.config.core.v3 import base_pb2
from envoy.service.accesslog.v3 import als_pb2, als_pb2_grpc
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from envoy.type.v3 import http_status_pb2
from google.rpc import status_pb2

from headrace.contract import names
from headrace.routing.activator.activator import Activator
from headrace.routing.activator.admission import Refusal
from headrace.routing.snapshot import PodAddress

UNKNOWN_BYTES: Final = 64 * 1024
"""What a body of unknown length counts as: proxies keep about so much of it until it may go on."""
_UNITS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_GRPC_TIMEOUT: Final = re.compile(r"(\d{1,8})([HMSmun])")
_UNAVAILABLE: Final = grpc.StatusCode.UNAVAILABLE.value[0]
_OVERWRITE: Final = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


class Authorization(external_auth_pb2_grpc.AuthorizationServicer):  # type: ignore[misc] # generated code is untyped
    """Answers a request's check when it may go on, or must not."""

    def __init__(self, activator: Activator) -> None:
        self._activator = activator

    async def Check(self, request: Any, context: Any) -> Any:  # the name is the protocol's
        http = request.attributes.request.http
        name = http.headers.get(names.CLUSTER_HEADER, "")
        if name.partition("/")[0] != http.host:
            # A copy for a shadow version names the version that it is a copy of, and has a host of its own.
            return _refused(Refusal(message="A copy is not held.", retry_seconds=1, reason="copy"), grpc_call=False)
        try:
            answer = await self._activator.pod(
                name, timeout_seconds=timeout_of(http.headers), size=size_of(http.headers)
            )
        except ConnectionAbortedError:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this activator ends; ask another")
        if isinstance(answer, Refusal):
            return _refused(answer, grpc_call=http.headers.get("content-type", "").startswith("application/grpc"))
        allowed = external_auth_pb2.OkHttpResponse(headers=[_header(names.DESTINATION_HEADER, text_of(answer))])
        return external_auth_pb2.CheckResponse(status=status_pb2.Status(code=0), ok_response=allowed)


class AccessLog(als_pb2_grpc.AccessLogServiceServicer):  # type: ignore[misc] # generated code is untyped
    """Takes the ends of requests."""

    def __init__(self, activator: Activator) -> None:
        self._activator = activator

    async def StreamAccessLogs(self, messages: AsyncIterator[Any], _context: Any) -> Any:  # the name is the protocol's
        async for message in messages:
            for entry in message.http_logs.log_entry:
                headers = entry.request.request_headers
                pod = address_of(headers.get(names.DESTINATION_HEADER, ""))
                if pod is not None:
                    reached = not entry.common_properties.response_flags.upstream_connection_failure
                    self._activator.ended(headers.get(names.CLUSTER_HEADER, ""), pod, reached=reached)
        return als_pb2.StreamAccessLogsResponse()


def size_of(headers: Mapping[str, str]) -> int:
    """Bytes of the body, as announced."""
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else UNKNOWN_BYTES


def timeout_of(headers: Mapping[str, str]) -> float:
    """Seconds that the caller waits: the least of the proxy's limit and what a call of gRPC says itself."""
    limit = headers.get(names.TIMEOUT_HEADER, "")
    seconds = float(limit) / 1000.0 if limit.isdecimal() else names.DEFAULT_TIMEOUT_SECONDS
    own = _GRPC_TIMEOUT.fullmatch(headers.get("grpc-timeout", ""))
    return seconds if own is None else min(seconds, int(own[1]) * _UNITS[own[2]])


def text_of(pod: PodAddress) -> str:
    """Address and port as Envoy reads them."""
    return f"[{pod.ip}]:{pod.port}" if ":" in pod.ip else f"{pod.ip}:{pod.port}"


def address_of(text: str) -> PodAddress | None:
    """The inverse of `text_of`; None for anything else."""
    host, _, port = text.rpartition(":")
    try:
        return PodAddress(str(ipaddress.ip_address(host.strip("[]"))), int(port))
    except ValueError:
        return None


def _header(key: str, value: str) -> Any:
    return base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=key, value=value), append_action=_OVERWRITE)


def _refused(refusal: Refusal, *, grpc_call: bool) -> Any:
    headers = [_header("retry-after", str(refusal.retry_seconds))]
    if grpc_call:
        headers.append(_header("grpc-retry-pushback-ms", str(1000 * refusal.retry_seconds)))
    denied = external_auth_pb2.DeniedHttpResponse(
        status=http_status_pb2.HttpStatus(code=http_status_pb2.ServiceUnavailable),
        headers=headers,
        body=refusal.message,
    )
    return external_auth_pb2.CheckResponse(status=status_pb2.Status(code=_UNAVAILABLE), denied_response=denied)


async def serve(activator: Activator, address: str) -> tuple[grpc.aio.Server, int]:
    """Starts the server; returns it with the port it listens on. Raises OSError when the port cannot be had."""
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),
            # Envoy asks each three seconds whether a connection lives, also without a request on it.
            ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
            ("grpc.http2.max_ping_strikes", 0),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
    )
    external_auth_pb2_grpc.add_AuthorizationServicer_to_server(Authorization(activator), server)
    als_pb2_grpc.add_AccessLogServiceServicer_to_server(AccessLog(activator), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"address = {address!r} cannot be listened on; free the port or choose another") from error
    await server.start()
    return server, port
