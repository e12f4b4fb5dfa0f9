"""gRPC server: a pod as the LoadBalancer asks it, over HTTP/1.1, and the platform's gRPC as a client sees it."""

# mypy: disable-error-code="import-untyped"
# grpcio carries no types.

import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
    """A pod: answers each call with its own name, and remembers what it was asked. Anything else gets JSON."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[Called] = []
        self.delay = 0.0
        self.refusal: Any = None
        """grpc.StatusCode to refuse with."""
        self.trailing: tuple[tuple[str, str], ...] = ()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self._body()
                metadata = {key.lower(): value for key, value in self.headers.items()}
                if metadata["content-type"] != "application/grpc":
                    self._answer({"content-type": "application/json"}, b"{}", {})
                    return
                outer.calls.append(Called(self.path, metadata, body[5:]))
                time.sleep(outer.delay)
                headers, trailing = {"content-type": "application/grpc"}, dict(outer.trailing)
                if outer.refusal is None:
                    message = outer.name.encode()
                    self._answer(
                        headers, struct.pack(">BI", 0, len(message)) + message, {"grpc-status": "0", **trailing}
                    )
                else:
                    code = str(outer.refusal.value[0])
                    self._answer(
                        {**headers, "grpc-status": code, "grpc-message": "the pod's own words", **trailing}, b"", {}
                    )

            def _body(self) -> bytes:
                if self.headers.get("transfer-encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("content-length", 0)))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _answer(self, headers: dict[str, str], body: bytes, trailers: dict[str, str]) -> None:
                self.send_response(200)
                framing = {"transfer-encoding": "chunked"} if trailers else {"content-length": str(len(body))}
                for key, value in {**headers, **framing}.items():
                    self.send_header(key, value)
                self.end_headers()
                if trailers:
                    told = "".join(f"{key}: {value}\r\n" for key, value in trailers.items()).encode()
                    body = b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, told)
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that has gone away is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = PodAddress("127.0.0.1", self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


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
