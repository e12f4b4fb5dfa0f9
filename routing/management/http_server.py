"""HttpServer: the port that the PopProxy asks, over HTTP/1.1; gRPC too, which Envoy makes of HTTP/2."""

import functools
import logging
import struct
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from headrace.contract.caller import Caller
from headrace.kube.admin_server import Response

log = logging.getLogger(__name__)

Handler = Callable[[str, Caller], Response]
"""The response to GET of a path, which comes without its query, for the verified caller."""
_FAILED: Final = Response(
    500, b'{"error_code": "INTERNAL_ERROR", "message": "The platform failed."}', "application/json"
)
_BODY_MAX: Final = 65536
"""A larger body is not read, and its connection ends with the answer."""


class HttpServer:
    def __init__(self, port: int, *, get: Handler, messages: Mapping[str, bytes]) -> None:
        """`messages`: what each method of gRPC answers, by its path. `port` 0 takes a free one."""

        class RequestHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._drop_body()
                try:
                    response = get(self.path.split("?", 1)[0], Caller.of(self.headers.get))
                except Exception:
                    log.exception("GET %s failed", self.path.split("?", 1)[0])
                    response = _FAILED
                self.send_response(response.status)
                self.send_header("content-type", response.content_type)
                self.send_header("content-length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)

            def do_POST(self) -> None:
                """A call of gRPC: the PopProxy sends no other POST here."""
                self._drop_body()
                message = messages.get(self.path)
                self.send_response(200)
                self.send_header("content-type", "application/grpc")
                if message is None:
                    self.send_header("grpc-status", "12")
                    self.send_header("grpc-message", "This method is not served.")
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                self.send_header("transfer-encoding", "chunked")
                self.send_header("trailer", "grpc-status")
                self.end_headers()
                framed = struct.pack(">BI", 0, len(message)) + message
                self.wfile.write(b"%x\r\n%s\r\n0\r\ngrpc-status: 0\r\n\r\n" % (len(framed), framed))

            def _drop_body(self) -> None:
                """What is asked stands in the head; the PopProxy sends bodies whole, with their length."""
                length = int(self.headers.get("content-length", 0))
                if length <= _BODY_MAX and "transfer-encoding" not in self.headers:
                    self.rfile.read(length)
                else:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """The proxies log what is refused."""

        self._server = ThreadingHTTPServer(("", port), RequestHandler)
        self._server.daemon_threads = True
        serve = functools.partial(self._server.serve_forever, poll_interval=0.05)  # how soon `stop` is noticed
        self._thread = threading.Thread(target=serve, name="management API", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
