"""Paths: what clients ask for beside `/invocations`, the same words in both proxies.

gRPC's paths are the same for every endpoint: metadata names the endpoint, and the version where one is wanted.
"""

from typing import Final

from headrace.contract import names
from headrace.routing.snapshot.resources import Body

PROTOCOL_PATHS: Final = ("/v1", "/v2")
"""OpenAI's and the Open Inference Protocol's; what lies under them is the pod's affair."""
PROTOCOL_METHODS: Final = ("GET", "POST")

ENDPOINT_METADATA: Final = "headrace-endpoint"
"""A client says here which endpoint it asks. Not `x-headrace-…`, which the PopProxy removes from what clients send."""
VERSION_METADATA: Final = "headrace-version"
"""A client says here which version it asks, where it wants one whatever its weight."""
GRPC_PREFIX: Final = f"/{names.GRPC_SERVICE}/"
GRPC_STREAM_PATH: Final = f"{GRPC_PREFIX}ModelStreamInfer"
"""Not served: a request is collected whole before it goes on, and a stream has no end to wait for."""


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
