"""QUIC: what callers reach over HTTP/3 (RFC 9114), by the same filters and routes as over TCP.

A caller learns of it by `alt-svc` (RFC 7838) in the answers that it gets over TCP.
"""

from typing import Final

from headrace.routing.snapshot.options import MEBIBYTE, Options
from headrace.routing.snapshot.resources import Body, extension, header_option, seconds

_ANNOUNCED_SECONDS: Final = 3600
"""How long a caller may remember that there is HTTP/3: no longer than a connection lives."""

_CONNECTION_WINDOW_BYTES: Final = 24 * MEBIBYTE
"""Envoy's most: of one body, and of others beside the end of it."""


def announcement(options: Options) -> list[Body]:
    """Headers of every answer of a route; none where there is no HTTP/3."""
    if options.http3_port is None:
        return []
    return [header_option("alt-svc", f'h3=":{options.http3_port}"; ma={_ANNOUNCED_SECONDS}')]


def codec(options: Options, *, streams: int) -> Body:
    """What an HTTP connection manager behind `quic_listener` has in place of HTTP/2's settings."""
    windows = {
        "max_concurrent_streams": streams,
        "initial_stream_window_size": options.body_bytes,
        "initial_connection_window_size": _CONNECTION_WINDOW_BYTES,
    }
    return {"codec_type": "HTTP3", "http3_protocol_options": {"quic_protocol_options": windows}}


def quic_listener(role: str, options: Options, *, port: int, manager: Body, tls: Body) -> Body:
    """A listener for UDP with one filter chain; `tls` is a `common_tls_context`."""
    body = {
        "downstream_tls_context": {"common_tls_context": tls},
        # What is sent with the first packet may be sent again by anybody who has seen it (RFC 9001, 9.2), and a
        # prediction need not be idempotent.
        "enable_early_data": False,
    }
    kind = "envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport"
    return {
        "name": f"{role}-quic",
        "address": {
            "socket_address": {"protocol": "UDP", "address": options.bind_address, "port_value": port},
        },
        "udp_listener_config": {
            "quic_options": {"idle_timeout": seconds(options.client_idle_seconds)},
            "downstream_socket_config": {"prefer_gro": True},
        },
        "filter_chains": [
            {"filters": [manager], "transport_socket": extension("envoy.transport_sockets.quic", kind, body)},
        ],
    }
