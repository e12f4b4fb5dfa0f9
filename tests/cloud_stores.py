"""Object stores of Google and Azure with a model in them, for clients in other processes. Both are stand-ins: Google's
is the emulator of PyPI's `gcp-storage-emulator`; Azure's is here, what a blob store answers to a client that reads."""

import base64
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from patience import eventually, free_port

BUCKET = "models"
ACCOUNT = "ours"


@contextmanager
def google(site: Path, objects: Mapping[str, bytes]) -> Iterator[dict[str, str]]:
    """The environment in which Google's client finds a bucket with these objects; `site` has the emulator."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "gcp_storage_emulator", "start", "--quiet", "--in-memory",
            "--host=127.0.0.1", f"--port={port}", f"--default-bucket={BUCKET}",
        ],
        env={"PYTHONPATH": str(site)},
    )  # fmt: skip

    def filled() -> bool:
        try:
            for name, content in objects.items():
                address = f"{url}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}"
                headers = {"Content-Type": "application/octet-stream"}
                with urllib.request.urlopen(urllib.request.Request(address, content, headers)) as answer:
                    assert answer.status == 200
        except OSError:  # it does not listen yet
            return False
        return True

    try:
        eventually(filled, "the bucket has the model", seconds=60, every_seconds=0.2)
        yield {"STORAGE_EMULATOR_HOST": url}
    finally:
        process.kill()
        process.wait()


@contextmanager
def azure(objects: Mapping[str, bytes]) -> Iterator[dict[str, str]]:
    """The environment in which Azure's client finds a container with these blobs."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address, query = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
            _, _, container, *rest = unquote(address.path).split("/", 3)
            if container != BUCKET:
                self._send(404, b"", "x-ms-error-code", "ContainerNotFound")
            elif query.get("comp") == ["list"]:
                self._send(200, _listing(objects, query.get("prefix", [""])[0], query.get("delimiter", [""])[0]))
            elif (name := "".join(rest)) in objects:
                asked = self.headers["x-ms-range"].removeprefix("bytes=").partition("-")
                part = objects[name][int(asked[0]) : int(asked[2]) + 1]
                found = f"bytes {asked[0]}-{int(asked[0]) + len(part) - 1}/{len(objects[name])}"
                self._send(206, part, "Content-Range", found)
            else:
                self._send(404, b"", "x-ms-error-code", "BlobNotFound")

        def _send(self, status: int, body: bytes, *header: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml" if status == 200 else "application/octet-stream")
            self.send_header("x-ms-blob-type", "BlockBlob")
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", formatdate(usegmt=True))
            if header:
                self.send_header(*header)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        key = base64.b64encode(b"a key of this test").decode()
        endpoint = f"http://127.0.0.1:{server.server_port}/{ACCOUNT}"
        try:
            yield {
                "AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};"
                f"AccountKey={key};BlobEndpoint={endpoint};"
            }
        finally:
            server.shutdown()
            thread.join()


def _listing(objects: Mapping[str, bytes], prefix: str, delimiter: str) -> bytes:
    """The blobs of that prefix, and as folders what goes on behind the delimiter."""
    found: dict[str, str] = {}
    for name, content in sorted(objects.items()):
        if not name.startswith(prefix):
            continue
        below, more, _ = name.removeprefix(prefix).partition(delimiter) if delimiter else (name, "", "")
        if more:
            folder = escape(prefix + below + delimiter)
            found[folder] = f"<BlobPrefix><Name>{folder}</Name></BlobPrefix>"
        else:
            size = f"<Content-Length>{len(content)}</Content-Length><BlobType>BlockBlob</BlobType>"
            found[name] = f"<Blob><Name>{escape(name)}</Name><Properties>{size}</Properties></Blob>"
    inside = "".join(found.values())
    return (
        f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{BUCKET}">'
        f"<Blobs>{inside}</Blobs><NextMarker/></EnumerationResults>"
    ).encode()
