"""Stand-ins for MLflow tracking servers: the REST API for a few models, and what it was asked."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

MLMODEL = "flavors: {python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}, sklearn: {}}\n"
FILES: Mapping[str, bytes] = {
    "MLmodel": MLMODEL.encode(),
    "requirements.txt": b"scikit-learn==1.9.1\n",
    "data/weights.bin": b"w" * 1000,
}
_MLFLOW = "/api/2.0/mlflow/"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


class StandIn(Protocol):
    """What `serving` serves."""

    uri: str
    headers: list[Mapping[str, str]]
    failures: list[int]

    def answer(self, path: str, query: Mapping[str, Any]) -> tuple[int, bytes]: ...


Kind = TypeVar("Kind", bound=StandIn)


class TrackingStandIn:
    """Version 1 of every model but those named `missing`; all have the same files."""

    def __init__(self) -> None:
        self.uri = ""
        self.asked: list[str] = []
        """Paths below /api/2.0/ with the model or file that they named, in order."""
        self.headers: list[Mapping[str, str]] = []
        self.failures: list[int] = []
        """Statuses that the next requests get instead of an answer."""
        self.together: threading.Barrier | None = None
        """Set: versions are told when as many have been asked for."""
        self.answers: dict[str, Callable[[Mapping[str, Any]], Any]] = {}
        """What else it knows, by path below /api/2.0/mlflow/: from the request's fields to the answer's JSON, or to a
        status and the JSON; None is a web page."""

    def count(self, start: str) -> int:
        """Requests whose text begins so."""
        return sum(text.startswith(start) for text in self.asked)

    def answer(self, path: str, query: Mapping[str, Any]) -> tuple[int, bytes]:
        """Status and body."""
        if path.startswith(_ARTIFACTS):
            return self._artifact(unquote(path.removeprefix(_ARTIFACTS).strip("/")), query)
        verb, name = path.removeprefix(_MLFLOW), query.get("name", "")
        self.asked.append(f"{verb} {name}".strip())
        if name.startswith("missing"):
            return 404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model not found"}'
        if verb == "model-versions/get-download-uri":
            if self.together is not None:
                self.together.wait(timeout=20)
            return 200, json.dumps({"artifact_uri": f"mlflow-artifacts:/0/models/{name}/artifacts"}).encode()
        if verb in self.answers:
            known = self.answers[verb](query)
            status, told = known if isinstance(known, tuple) else (200, known)
            return status, b"<html>" if told is None else json.dumps(told).encode()
        return 404, b"<!doctype html><title>404 Not Found</title>"  # as Flask and so MLflow says it

    def _artifact(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        if path:
            self.asked.append(f"download {path}")
            return 200, FILES[path.partition("/artifacts/")[2]]
        self.asked.append(f"list {query['path']}")
        folder = query["path"].partition("/artifacts")[2].strip("/")
        listed: list[dict[str, Any]] = []
        for name, content in FILES.items():
            parent, _, file = name.rpartition("/")
            if parent == folder:
                listed.append({"path": file, "is_dir": False, "file_size": len(content)})
            elif folder == "" and {"path": parent, "is_dir": True} not in listed:
                listed.append({"path": parent, "is_dir": True})
        return 200, json.dumps({"files": listed}).encode()


@contextmanager
def running() -> Iterator[TrackingStandIn]:
    """One on loopback, ended afterwards."""
    with serving(TrackingStandIn()) as stand_in:
        yield stand_in


@contextmanager
def serving(stand_in: Kind, *, tls: ssl.SSLContext | None = None) -> Iterator[Kind]:
    """The stand-in on loopback, ended afterwards."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the name is the library's
            parts = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = {key: one for key, (one,) in parse_qs(parts.query).items()} | (json.loads(sent) if sent else {})
            stand_in.headers.append(dict(self.headers))
            if stand_in.failures:
                status, body = stand_in.failures.pop(0), b"<html>"
            else:
                status, body = stand_in.answer(parts.path, asked)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_POST = do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stand_in.uri = f"http{'' if tls is None else 's'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
