"""Delivery: into a real containerd of our own (slow), to a real registry protocol, and what is said when it fails."""

import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.contract.image import Delivery, DeliveryKind
from headrace.runtimes.images.deliver import deliver, present
from headrace.runtimes.images.oci import Image, write_image
from headrace.runtimes.images.store import Store, digest_of
from headrace.runtimes.images.tarball import Entry, write_layer


def _image(store: Store, *contents: bytes) -> Image:
    layers = [write_layer(store, [Entry(path=f"file-{n}", data=data)]) for n, data in enumerate(contents)]
    return write_image(store, layers, entrypoint=["/x"], environment={}, labels={})


# --- containerd ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_containerd_holds_the_image_under_its_digest(
    store: Store, log: Path, containerd: Delivery, ctr: Callable[..., str]
) -> None:
    image = _image(store, b"base one", b"model one")

    reference, held = deliver(store, image, name="models/one", delivery=containerd, log=log)

    assert reference == f"headrace.local/models/one@{image.digest}"
    assert held == frozenset()
    assert reference in ctr("images", "ls", "--quiet").split()
    assert present(reference, containerd, log=log) is True


@pytest.mark.slow
def test_only_blobs_that_are_missing_travel(
    store: Store, log: Path, containerd: Delivery, ctr: Callable[..., str]
) -> None:
    first, second = _image(store, b"base two", b"model 1"), _image(store, b"base two", b"model 2")
    deliver(store, first, name="models/two", delivery=containerd, log=log)
    store.path(first.layers[0].digest).unlink()  # a blob that travelled would have to be read

    _, held = deliver(store, second, name="models/two", delivery=containerd, log=log)

    assert held == {second.layers[0].digest}
    ctr("images", "rm", "--sync", f"headrace.local/models/two@{first.digest}")
    assert second.layers[0].digest in ctr("content", "ls", "--quiet").split()  # the second image holds on to it
    assert deliver(store, second, name="models/two", delivery=containerd, log=log)[1] == frozenset(second.blobs)


@pytest.mark.slow
def test_an_image_that_was_removed_is_noticed_and_brought_back(
    store: Store, log: Path, containerd: Delivery, ctr: Callable[..., str]
) -> None:
    image = _image(store, b"base three", b"model")
    reference, _ = deliver(store, image, name="models/three", delivery=containerd, log=log)
    ctr("images", "rm", "--sync", reference)

    assert present(reference, containerd, log=log) is False
    deliver(store, image, name="models/three", delivery=containerd, log=log)
    assert present(reference, containerd, log=log) is True


def test_a_containerd_that_does_not_answer_has_lost_nothing(store: Store, log: Path, tmp_path: Path) -> None:
    delivery = _with_program(tmp_path, "ctr", "echo 'ctr: failed to dial: connection refused' >&2; exit 1")

    assert present("headrace.local/x@sha256:0", delivery, log=log) is None
    with pytest.raises(TemporaryError, match=r"does not answer, ctr says: .*connection refused; start the cluster"):
        deliver(store, _image(store, b"x"), name="x", delivery=delivery, log=log)


def test_an_import_that_fails_for_a_collected_blob_is_tried_with_all(store: Store, log: Path, tmp_path: Path) -> None:
    image = _image(store, b"base", b"model")
    held = image.layers[0].digest
    program = f"""case "$*" in
*"content ls"*) echo {held};;
*"images ls"*) ;;
*import*) cat > {tmp_path}/archive; tar -tf {tmp_path}/archive | grep -q {held[7:]} || {{ echo 'not found'; exit 1; }};;
esac"""
    delivery = _with_program(tmp_path, "ctr", program)

    _, kept = deliver(store, image, name="x", delivery=delivery, log=log)

    assert kept == frozenset()
    assert "not found" in log.read_text()


def test_an_import_that_fails_says_why(store: Store, log: Path, tmp_path: Path) -> None:
    program = 'case "$*" in *import*) echo "ctr: no space left on device"; exit 1;; esac'

    with pytest.raises(TemporaryError, match="could not be imported, ctr says: ctr: no space left on device"):
        deliver(store, _image(store, b"x"), name="x", delivery=_with_program(tmp_path, "ctr", program), log=log)


def test_a_ctr_that_is_not_there_is_named(store: Store, log: Path, tmp_path: Path) -> None:
    delivery = Delivery(kind=DeliveryKind.CONTAINERD, address="/c.sock", ctr=str(tmp_path / "ctr"))

    with pytest.raises(PermanentError, match=r"delivery\.ctr = '.*/ctr' does not exist"):
        deliver(store, _image(store, b"x"), name="x", delivery=delivery, log=log)


def _with_program(folder: Path, name: str, script: str) -> Delivery:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Delivery(kind=DeliveryKind.CONTAINERD, address="/nowhere/c.sock", ctr=str(program))


# --- a registry ------------------------------------------------------------------------------------------------------


class _Registry(BaseHTTPRequestHandler):
    """As much of the OCI distribution protocol as a push and a look need."""

    stored: dict[str, bytes]

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def do_GET(self) -> None:
        self._serve(body=True)

    def do_POST(self) -> None:
        self._read()
        self._answer(202, {"Location": f"http://{self.headers['Host']}{self.path}upload"})

    def do_PATCH(self) -> None:
        self.stored["upload " + self.path] = self._read()
        self._answer(202, {"Location": f"http://{self.headers['Host']}{self.path}"})

    def do_PUT(self) -> None:
        data = self._read()
        path, _, query = self.path.partition("?")
        if "/manifests/" in path:
            folder = path.rpartition("/")[0]
            self.stored[path] = self.stored[f"{folder}/{digest_of(data)}"] = data
        else:
            digest = query.split("digest=")[1].replace("%3A", ":").split("&")[0]
            self.stored[path.split("uploads/")[0] + digest] = data or self.stored.pop("upload " + path)
        self._answer(201, {})

    def _serve(self, *, body: bool) -> None:
        if self.path == "/v2/":
            self._answer(200, {})
        elif (data := self.stored.get(urlsplit(self.path).path)) is None:
            self._answer(404, {"Content-Type": "application/json"}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        else:
            kind = (
                "application/vnd.oci.image.manifest.v1+json"
                if "/manifests/" in self.path
                else "application/octet-stream"
            )
            headers = {"Content-Type": kind, "Docker-Content-Digest": digest_of(data)}
            self._answer(200, headers, data, body=body)

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _answer(self, status: int, headers: dict[str, str], data: bytes = b"", *, body: bool = True) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def registry() -> Iterator[Delivery]:
    handler = type("Registry", (_Registry,), {"stored": {}, "protocol_version": "HTTP/1.1"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    host = f"127.0.0.1:{server.server_address[1]}"
    yield Delivery(kind=DeliveryKind.REGISTRY, repository=f"{host}/team", plain_http=True)
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_pushed_image_is_pinned_by_the_registrys_digest(store: Store, log: Path, registry: Delivery) -> None:
    image = _image(store, b"base", b"model")

    first, _ = deliver(store, image, name="models/x", delivery=registry, log=log)
    second, _ = deliver(store, image, name="models/x", delivery=registry, log=log)

    assert first == second
    assert first.startswith(f"{registry.repository}/models/x@sha256:")
    assert present(first, registry, log=log) is True
    assert present(first[:-64] + "0" * 64, registry, log=log) is False


def test_a_registry_that_does_not_answer_is_named(store: Store, log: Path) -> None:
    delivery = Delivery(kind=DeliveryKind.REGISTRY, repository="127.0.0.1:9/team", plain_http=True)

    with pytest.raises(TemporaryError, match=r"could not be pushed to 127\.0\.0\.1:9/team/x, skopeo says: .*refused"):
        deliver(store, _image(store, b"x"), name="x", delivery=delivery, log=log)
    assert present("127.0.0.1:9/team/x@sha256:" + "0" * 64, delivery, log=log) is None


# --- kind ------------------------------------------------------------------------------------------------------------


def test_an_image_for_kind_is_loaded_as_an_archive(
    store: Store, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _image(store, b"x")
    _with_program(tmp_path, "kind", f'echo "$@" > {tmp_path}/called; cp "$3" {tmp_path}/archive')
    _with_program(tmp_path, "docker", f"echo headrace.local/x@{image.digest}")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    delivery = Delivery(kind=DeliveryKind.KIND, cluster="dev")

    reference, _ = deliver(store, image, name="x", delivery=delivery, log=log)

    assert reference == f"headrace.local/x@{image.digest}"
    assert (tmp_path / "called").read_text().split()[-1] == "--name=dev"
    assert (tmp_path / "archive").stat().st_size > 0
    assert present(reference, delivery, log=log) is True
    assert present("headrace.local/y@sha256:0", delivery, log=log) is False


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({"kind": "containerd"}, ["address is missing"]),
        ({"kind": "registry", "adress": "x"}, ["'adress' is not a setting", "repository is missing"]),
        ({}, ["kind = '', must be one of containerd, registry, kind"]),
    ],
)
def test_every_fault_of_a_delivery_is_reported_at_once(value: dict[str, str], faults: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Delivery.from_json(value)

    assert all(fault in str(caught.value) for fault in faults)
    assert len(caught.value.faults) == len(faults)
