"""Model server: a pod as the LoadBalancer sees it."""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from headrace.routing.snapshot import PodAddress


@dataclass
class Seen:
    """A request as a model pod received it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ModelServer:
    """A pod: answers every POST, and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[Seen] = []
        self.delay = 0.0
        self.status = 200
        self.hang_up = False
        self.extra_headers: dict[str, str] = {}
        self.fails_every: int | None = None
        """Answers each so-manieth request with 500."""
        self.answer: bytes | None = None
        """Body of every answer; None: its name as a prediction."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {key.lower(): value for key, value in self.headers.items()}
                outer.requests.append(Seen(self.command, self.path, headers, body))
                if outer.hang_up:
                    self.close_connection = True
                    return
                if outer.delay:
                    time.sleep(outer.delay)
                named = json.dumps({"predictions": [outer.name]}).encode()
                answer = named if outer.answer is None else outer.answer
                fails = outer.fails_every is not None and len(outer.requests) % outer.fails_every == 0
                self.send_response(500 if fails else outer.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                for key, value in outer.extra_headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_DELETE = do_PATCH = do_POST

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
