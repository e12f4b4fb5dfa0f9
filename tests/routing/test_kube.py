"""The control plane against an API server that lists, watches, fails and comes back."""

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes
import pytest

from headrace.routing import kube


class ApiServer:
    """A few objects behind the list, watch and patch verbs."""

    def __init__(self) -> None:
        self.version = 1
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.documents: dict[str, dict[str, Any]] = {}
        self.patches: list[tuple[str, dict[str, Any]]] = []
        self.watches: dict[str, list[queue.Queue[Any]]] = {}
        self.down = False
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
                elif url.path in outer.documents:
                    self.reply(200, outer.documents[url.path])
                elif "watch" in query:
                    self.watch(url.path)
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
                outer.patches.append((urlsplit(self.path).path, body))
                self.reply(200, {})

            def watch(self, path: str) -> None:
                self.send_response(200)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                events: queue.Queue[Any] = queue.Queue()
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

    def client(self) -> kube.ApiServer:
        configuration = kubernetes.client.Configuration()
        configuration.host = self.host
        return kube.ApiServer(configuration)

    def put(self, path: str, name: str, **fields: Any) -> dict[str, Any]:
        """Creates or replaces an object, and tells the watchers."""
        self.version += 1
        known = self.objects.setdefault(path, {})
        kind = "MODIFIED" if name in known else "ADDED"
        item = {"metadata": {"uid": name, "name": name, "resourceVersion": str(self.version)}, **fields}
        known[name] = item
        self.tell(path, {"type": kind, "object": item})
        return item

    def delete(self, path: str, name: str) -> None:
        self.tell(path, {"type": "DELETED", "object": self.objects[path].pop(name)})

    def tell(self, path: str, event: Any) -> None:
        for events in self.watches.get(path, []):
            events.put(event)

    def end_watches(self) -> None:
        for path in list(self.watches):
            for events in self.watches.pop(path):
                events.put(None)

    def stop(self) -> None:
        self.end_watches()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.stop()


def mirror_names(mirror: kube.Mirror) -> set[str]:
    return {item["metadata"]["name"] for item in mirror.objects()}


PATH = kube.ENDPOINT_SLICES


@pytest.fixture
def mirror(api: ApiServer) -> Iterator[kube.Mirror]:
    api.put(PATH, "one")
    api.put(PATH, "two")
    mirror = kube.Mirror(api.client(), PATH, lambda: None)
    mirror.start()
    yield mirror
    mirror.stop()


def test_a_mirror_shows_every_page_of_the_list_then_follows_the_watch(
    api: ApiServer, mirror: kube.Mirror, until: Any
) -> None:
    until(lambda: mirror.synced and PATH in api.watches, "list and watch")
    assert mirror_names(mirror) == {"one", "two"}
    api.put(PATH, "three")
    api.delete(PATH, "one")
    until(lambda: mirror_names(mirror) == {"two", "three"}, "events applied")


def test_an_api_server_that_goes_away_leaves_the_copy_as_it_was(
    api: ApiServer, mirror: kube.Mirror, until: Any
) -> None:
    until(lambda: PATH in api.watches, "watch")
    api.down = True
    api.end_watches()
    api.objects[PATH].pop("one")
    until(lambda: api.refused > 1, "tried again in vain")
    assert mirror.synced
    assert mirror_names(mirror) == {"one", "two"}
    api.down = False
    until(lambda: mirror_names(mirror) == {"two"}, "listed again after the outage")


def test_a_watch_that_is_too_old_ends_in_a_fresh_list(api: ApiServer, mirror: kube.Mirror, until: Any) -> None:
    until(lambda: PATH in api.watches, "watch")
    api.objects[PATH].pop("one")
    api.tell(PATH, {"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    until(lambda: mirror_names(mirror) == {"two"}, "relist")


def test_nothing_is_synced_before_the_kind_exists(api: ApiServer, until: Any) -> None:
    mirror = kube.Mirror(api.client(), "/apis/none", lambda: None)
    mirror.start()
    api.objects["/apis/none"] = {}
    until(lambda: mirror.synced, "synced once the list succeeds")
    mirror.stop()


def test_issuer_keys_are_kept_when_they_cannot_be_read_any_more(api: ApiServer, until: Any) -> None:
    api.documents["/.well-known/openid-configuration"] = {"issuer": "https://issuer.test"}
    api.documents["/openid/v1/jwks"] = {"keys": [{"kid": "one"}]}
    keys = kube.IssuerKeys(api.client(), lambda: None, period_seconds=0.02)
    keys.start()
    until(lambda: keys.found is not None, "keys read")
    api.down = True
    until(lambda: api.refused > 1, "tried again in vain")
    assert keys.found == ("https://issuer.test", {"keys": [{"kid": "one"}]})
    api.down = False
    api.documents["/openid/v1/jwks"] = {"keys": []}
    assert keys.found == ("https://issuer.test", {"keys": [{"kid": "one"}]})
    api.documents["/openid/v1/jwks"] = {"keys": [{"kid": "two"}]}
    until(lambda: keys.found == ("https://issuer.test", {"keys": [{"kid": "two"}]}), "rotated keys read")
    keys.stop()
