"""A store, small wheels, a small base and a private containerd for the tests of the image builder."""

import base64
import hashlib
import json
import shutil
import subprocess
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from patience import eventually

from headrace.images.oci import write_image, write_layout
from headrace.images.request import Base, BaseKind, Delivery, DeliveryKind
from headrace.images.store import Store
from headrace.images.tarball import Entry, write_layer

MakeWheel = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "build.log"


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """uv asks an interpreter about itself once for each cache, which takes longer than all else that it does here."""
    return tmp_path_factory.mktemp("uv")


@pytest.fixture
def wheels(tmp_path: Path, uv_cache: Path, monkeypatch: pytest.MonkeyPatch) -> MakeWheel:
    """Makes wheels; returns the option line under which a requirements file finds those of one folder and nothing
    else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_CACHE_DIR", str(uv_cache))
    monkeypatch.setenv("UV_NO_CONFIG", "1")

    def make(
        name: str,
        version: str,
        *,
        files: Mapping[str, str] | None = None,
        requires: Sequence[str] = (),
        scripts: Mapping[str, str] | None = None,
        tag: str = "py3-none-any",
        into: Path = folder,
    ) -> str:
        package = name.replace("-", "_")
        info = f"{package}-{version}.dist-info"
        content = dict(files if files is not None else {f"{package}/__init__.py": f"VERSION = {version!r}\n"})
        content[f"{info}/METADATA"] = "".join(
            [
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                *(f"Requires-Dist: {line}\n" for line in requires),
            ]
        )
        content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
        if scripts:
            lines = "".join(f"{script} = {target}\n" for script, target in scripts.items())
            content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}"
        record = "".join(f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in content.items())
        content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
        into.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(into / f"{package}-{version}-{tag}.whl", "w") as wheel:
            for path, text in content.items():
                wheel.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
        return f"--no-index --find-links {folder}"

    return make


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serves package indexes (PEP 503) on the loopback; returns an index's URL without the password that it may ask
    for. Wheels for it lie below tmp_path / NAME / PROJECT."""
    servers = []

    def serve(name: str, *, credentials: str = "") -> str:
        expected = f"Basic {base64.b64encode(credentials.encode()).decode()}" if credentials else ""

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                if expected and self.headers.get("Authorization") != expected:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", "Basic")
                    self.end_headers()
                else:
                    super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        (tmp_path / name).mkdir(exist_ok=True)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / name)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def _digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def make_base(tmp_path: Path, skopeo: None) -> Callable[[str], Base]:
    """Makes bases of a few bytes, in directories instead of a registry."""

    def make(name: str) -> Base:
        store = Store(tmp_path / "registry")
        layer = write_layer(store, [Entry(path="etc/os-release", data=f"ID={name}\n".encode())])
        image = write_image(store, [layer], entrypoint=[], environment={"GPG_KEY": "key of the base"}, labels={})
        write_layout(store, image, tmp_path / name, reference="base")
        return Base(kind=BaseKind.REGISTRY, reference=f"oci:{tmp_path / name}:base")

    return make


@pytest.fixture
def small_base(make_base: Callable[[str], Base]) -> Base:
    return make_base("small-base")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Locks and code of a platform that fits on a page; what it locks is none of the registry's packages."""
    root = tmp_path / "checkout"
    for path, text in {
        "locks/front.lock": "",
        "contract/names.py": "PORT = 8080\n",
        "runtimes/serve.py": "from headrace.contract.names import PORT\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def model_directory(tmp_path: Path) -> Path:
    """Something that looks like a logged model; the builder does not read what is in it."""
    directory = tmp_path / "model"
    (directory / "data").mkdir(parents=True)
    (directory / "MLmodel").write_text("flavors: {python_function: {loader_module: m}}\nmodel_uuid: m-1\n")
    (directory / "data" / "weights.bin").write_bytes(bytes(range(256)) * 40)
    return directory


@pytest.fixture(scope="session")
def containerd() -> Iterator[Delivery]:
    """A containerd of our own: its own root, state and socket; the machine's is not touched."""
    program = shutil.which("containerd")
    if program is None or shutil.which("ctr") is None:
        pytest.skip("containerd and ctr are not installed")
    root = Path(tempfile.mkdtemp(prefix="hrc-"))  # a short path: sockets allow 107 characters
    settings = {
        "root": str(root / "root"),
        "state": str(root / "state"),
        "disabled_plugins": ["io.containerd.grpc.v1.cri"],
    }
    text = "version = 2\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    (root / "config.toml").write_text(f"{text}[grpc]\naddress = {json.dumps(str(root / 'c.sock'))}\n")
    with (root / "log").open("wb") as out:
        process = subprocess.Popen([program, "--config", str(root / "config.toml")], stdout=out, stderr=out)
    try:
        delivery = Delivery(kind=DeliveryKind.CONTAINERD, address=str(root / "c.sock"))

        def answers() -> bool:
            return subprocess.run(_ctr(delivery, "version"), capture_output=True, check=False).returncode == 0

        eventually(lambda: process.poll() is not None or answers(), "containerd answers", seconds=20)
        if process.poll() is not None:
            pytest.skip(f"containerd does not start here: {(root / 'log').read_text()[-500:]}")
        yield delivery
    finally:
        process.terminate()
        process.wait(timeout=20)
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def ctr(containerd: Delivery) -> Callable[..., str]:
    """Runs ctr against the private containerd."""

    def run(*arguments: str) -> str:
        command = _ctr(containerd, *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run


def _ctr(delivery: Delivery, *arguments: str) -> list[str]:
    return ["ctr", f"--address={delivery.address}", "--namespace=k8s.io", *arguments]


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine names no index that answers."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
