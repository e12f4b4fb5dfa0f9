"""API server: a few objects behind the list, watch and patch verbs."""

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes

from headrace.kube import api_server


class ApiServer:
    """A few objects behind the list, watch and patch verbs."""

    def __init__(self) -> None:
        self.version = 1
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.documents: dict[str, dict[str, Any]] = {}
        self.patches: list[tuple[str, dict[str, Any]]] = []
        self.watches: dict[str, list[queue.Queue[Any]]] = {}
        self.history: dict[str, list[tuple[int, Any]]] = {}
        self.lock = threading.Lock()
        self.down = False
        """Whether it answers every read with 503."""
        self.answer_with: int | None = None
        """Status of every answer to a read."""
        self.patches_allowed = threading.Event()
        """Patches wait until it is set."""
        self.patches_allowed.set()
        self.refused = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = parse_qs(url.query)
                if outer.down:
                    outer.refused += 1
                    self.reply(503, {"message": "down"})
                elif outer.answer_with is not None:
                    self.reply(outer.answer_with, {"message": "as the test wants"})
                elif url.path == "/openid/v1/jwks" and "application/jwk-set+json" not in self.headers["accept"]:
                    self.reply(406, {"message": "only the media type of key sets is served"})
                elif url.path in outer.documents:
                    self.reply(200, outer.documents[url.path])
                elif "watch" in query:
                    self.watch(url.path, int(query["resourceVersion"][0]))
                elif url.path in outer.objects:
                    items = list(outer.objects[url.path].values())
                    start = int(query.get("continue", ["0"])[0])
                    more = str(start + 1) if start + 1 < len(items) else ""
                    metadata = {"resourceVersion": str(outer.version), "continue": more}
                    self.reply(200, {"metadata": metadata, "items": items[start : start + 1]})
                else:
                    self.reply(404, {"message": "no such kind"})

            def do_PATCH(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.patches_allowed.wait()
                outer.patches.append((urlsplit(self.path).path, body))
                self.reply(200, {})

            def watch(self, path: str, since: int) -> None:
                self.send_response(200)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                events: queue.Queue[Any] = queue.Queue()
                with outer.lock:
                    for version, event in outer.history.get(path, []):
                        if version > since:
                            events.put(event)
                    outer.watches.setdefault(path, []).append(events)
                while (event := events.get()) is not None:
                    line = json.dumps(event).encode() + b"\n"
                    self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")

            def reply(self, status: int, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def client(self) -> api_server.ApiServer:
        configuration = kubernetes.client.Configuration()
        configuration.host = self.host
        return api_server.ApiServer("headrace-tests", configuration)

    def put(self, path: str, name: str, **fields: Any) -> dict[str, Any]:
        """Creates or replaces an object, and tells the watchers."""
        self.version += 1
        known = self.objects.setdefault(path, {})
        kind = "MODIFIED" if name in known else "ADDED"
        metadata = {"uid": name, "name": name, "resourceVersion": str(self.version), "generation": 1}
        metadata.update({key: fields.pop(key) for key in ("namespace", "labels") if key in fields})
        item = {"metadata": metadata, **fields}
        known[name] = item
        self.tell(path, {"type": kind, "object": item})
        return item

    def delete(self, path: str, name: str) -> None:
        self.tell(path, {"type": "DELETED", "object": self.objects[path].pop(name)})

    def tell(self, path: str, event: Any) -> None:
        """An event for every watch, and for those that begin later from an older version."""
        with self.lock:
            if event["type"] != "ERROR":
                self.version += 1
                self.history.setdefault(path, []).append((self.version, event))
            for events in self.watches.get(path, []):
                events.put(event)

    def end_watches(self) -> None:
        for path in list(self.watches):
            for events in self.watches.pop(path):
                events.put(None)

    def stop(self) -> None:
        self.patches_allowed.set()
        self.end_watches()
        self._server.shutdown()
        self._server.server_close()
