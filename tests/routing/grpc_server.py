"""gRPC server: a pod's port for gRPC as the LoadBalancer sees it, and the platform's gRPC as a client sees it."""

# mypy: disable-error-code="import-untyped"
# grpcio carries no types.

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from headrace.contract import names
from headrace.routing.snapshot import PodAddress


@dataclass
class Called:
    """A call as a model pod received it."""

    method: str
    metadata: dict[str, str]
    message: bytes


class GrpcServer:
    """A pod: answers each call with its own name, and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[Called] = []
        self.delay = 0.0
        self.refusal: Any = None
        """grpc.StatusCode to refuse with."""
        self.trailing: tuple[tuple[str, str], ...] = ()
        outer = self

        class Handler(grpc.GenericRpcHandler):  # type: ignore[misc] # grpcio carries no types
            def service(self, call: Any) -> Any:
                def answer(message: bytes, context: Any) -> bytes:
                    outer.calls.append(Called(call.method, dict(context.invocation_metadata()), message))
                    time.sleep(outer.delay)
                    context.set_trailing_metadata(outer.trailing)
                    if outer.refusal is not None:
                        context.abort(outer.refusal, "the pod's own words")
                    return outer.name.encode()

                return grpc.unary_unary_rpc_method_handler(answer)

        self._server = grpc.server(ThreadPoolExecutor(8), (Handler(),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = PodAddress("127.0.0.1", 1, port)
        """Over HTTP it cannot be reached."""
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()


class Caller:
    """A client of the PopProxy that has no generated code."""

    def __init__(self, port: int, ca_file: Path) -> None:
        credentials = grpc.ssl_channel_credentials(ca_file.read_bytes())
        # No retries: they could hide a failure.
        self.channel = grpc.secure_channel(f"localhost:{port}", credentials, options=[("grpc.enable_retries", 0)])

    def __call__(
        self, token: str, message: bytes = b"x", *, method: str = "ModelInfer", timeout: float = 15, **metadata: str
    ) -> "Told":
        """One call; underscores in names of metadata are hyphens. An empty token is not sent."""
        sent = [(name.replace("_", "-"), value) for name, value in metadata.items()]
        if token:
            sent.append(("authorization", f"Bearer {token}"))
        call = self.channel.unary_unary(f"/{names.GRPC_SERVICE}/{method}")
        try:
            answer, done = call.with_call(message, metadata=sent, timeout=timeout)
            return Told("OK", answer.decode(), "", _read(done))
        except grpc.RpcError as error:
            return Told(error.code().name, "", str(error.details()), _read(error))


def _read(call: Any) -> dict[str, str]:
    return {**dict(call.initial_metadata() or ()), **dict(call.trailing_metadata() or ())}


@dataclass
class Told:
    """What a client got."""

    code: str
    answer: str
    details: str
    metadata: dict[str, str]
    """Initial and trailing."""
