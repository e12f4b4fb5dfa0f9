"""A stand-in for the artifacts of an MLflow server: it counts what it sends, and fails as a test wants."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from headrace.contract.weights import WeightsManifest, hashed

PART = 1 << 16
PREFIX = "/api/2.0/mlflow-artifacts/artifacts/1/models/m-1/artifacts/"


@dataclass
class Files:
    """The artifacts of one model, as an MLflow server hands them out."""

    content: dict[str, bytes]
    uri: str = "mlflow-artifacts:/1/models/m-1/artifacts"
    knows_ranges: bool = True
    status: int = 200
    """Of every answer where it is another one."""
    torn: int = 0
    """So many answers end in the middle."""
    sent: int = 0
    """Bytes of files."""
    asked: list[str] = field(default_factory=list)
    """Ranges."""
    authorization: set[str | None] = field(default_factory=set)
    server: ThreadingHTTPServer = field(init=False)

    @property
    def tracking_uri(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def manifest(self) -> WeightsManifest:
        return WeightsManifest(files=tuple(hashed(path, [data]) for path, data in sorted(self.content.items())))


@contextmanager
def serving(content: Mapping[str, bytes], *, address: str = "127.0.0.1") -> Iterator[Files]:
    """A running store with these files."""
    files, lock = Files(dict(content)), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the name is the library's
            data, wanted = files.content.get(unquote(self.path).removeprefix(PREFIX)), self.headers.get("Range")
            status = 404 if data is None else files.status
            body = data if data is not None and status == 200 else b""
            sizes = {}
            if wanted and status == 200 and files.knows_ranges:
                first, last = map(int, wanted.removeprefix("bytes=").split("-"))
                body, status = body[first : last + 1], 206
                sizes["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{len(data or b'')}"
            with lock:
                torn, files.torn = files.torn > 0, max(0, files.torn - 1)
                files.authorization.add(self.headers.get("Authorization"))
                files.asked += [wanted] if wanted else []
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), "Last-Modified": "Mon, 30 Nov 2026 10:00:00 GMT",
                                **sizes}.items():  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            sent = body[: len(body) // 2] if torn else body
            with lock:
                files.sent += len(sent)
            try:
                self.wfile.write(sent)
            except OSError:  # who asked for a range has left
                torn = True
            self.close_connection = torn

        def log_message(self, *_: object) -> None:
            pass

    files.server = ThreadingHTTPServer((address, 0), Handler)
    threading.Thread(target=files.server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield files
    finally:
        files.server.shutdown()
        files.server.server_close()
