"""Whoever takes lines as OTLP over HTTP, as a process of the test."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """An OTLP server that answers as the test wants."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str]] = []
        self.bodies: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                document: Any = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, text = outer.answers.pop(0) if outer.answers else (200, "{}")
                if (self.path, self.headers["content-type"]) != ("/v1/logs", "application/json"):
                    status, text = 404, "no such path"
                if status == 200:
                    scopes = [scope for resource in document["resourceLogs"] for scope in resource["scopeLogs"]]
                    records = [record for scope in scopes for record in scope["logRecords"]]
                    outer.bodies += [record["body"]["stringValue"] for record in records]
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
