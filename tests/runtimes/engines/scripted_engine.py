"""A stand-in for an engine that speaks OpenAI's protocol: it does on demand what real ones do rarely.

`python scripted_engine.py PORT [broken-at-start]`. The prompt says what happens: `slowly N` streams N pieces in
20 ms steps, `die` ends the process after three pieces, `hang up` cuts the connection after three, `fail` is a 500,
`refuse` a 400, `sleep S` answers after S seconds; other prompts come back.
"""

import json
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

state = {"healthy": True, "connections": 0}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        """Counts it."""
        state["connections"] += 1
        super().setup()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        if self.path == "/metrics":
            text = f"scripted_requests_total 3\nscripted_connections_total {state['connections']}\n"
            self.answer(200, text.encode(), "text/plain")
        else:
            self.answer(200 if state["healthy"] else 500, b"{}")

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = document.get("prompt") or document["messages"][-1]["content"]
        text = prompt if isinstance(prompt, str) else prompt[0]
        word, _, rest = text.partition(" ")
        if word == "refuse":
            self.answer(400, json.dumps({"error": {"message": "the prompt is too long", "code": 400}}).encode())
        elif word == "fail":
            self.answer(500, b'{"error":{"message":"Traceback: secret of line 5"}}')
        elif word == "sicken":
            state["healthy"] = False
            self.answer(200, b"{}")
        elif document.get("stream"):
            self.stream(word, rest)
        else:
            if word == "sleep":
                time.sleep(float(rest))
            prompts = [prompt] if isinstance(prompt, str) else prompt
            choices = [{"index": at, "text": one, "finish_reason": "stop"} for at, one in enumerate(prompts)]
            self.answer(200, json.dumps({"id": "1", "object": "text_completion", "choices": choices}).encode())

    def stream(self, word: str, rest: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for at in range(int(rest) if word == "slowly" else 3):
            self.chunk(b"data: " + json.dumps({"choices": [{"index": 0, "text": str(at)}]}).encode() + b"\n\n")
            time.sleep(0.02)
        if word == "die":
            os._exit(3)
        if word == "hang":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if "broken-at-start" in sys.argv:
    print("loading weights", flush=True)
    print("ValueError: the weights are for another architecture", file=sys.stderr, flush=True)
    print("cleaning up", file=sys.stderr, flush=True)
    sys.exit(1)
ThreadingHTTPServer.request_queue_size = 256
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
