"""Chains: what can stand between a client and a pod, each running, each with a way to ask it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "routing"), str(ROOT / "tests")]

import proxies  # noqa: E402
from issuer import ISSUER, Signer, write_certificate  # noqa: E402 -- the stand-ins lie beside the tests that use them
from patience import eventually, free_port  # noqa: E402

from bench.path import bare  # noqa: E402
from headrace.contract import names  # noqa: E402
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion  # noqa: E402
from headrace.routing.snapshot import Endpoint, Keys, Options, PodAddress, Snapshot, World, build  # noqa: E402
from headrace.routing.snapshot.resources import CLUSTER  # noqa: E402

ENDPOINT: Final = "fraud"
PATH: Final = f"/serving-endpoints/{ENDPOINT}/invocations"
SUBJECT: Final = "alice"
PRODUCT: Final = "headrace"
BARE: Final = "bare Envoys"
ONE: Final = "one bare Envoy"
EDGE: Final = "bare TLS hop"
INNER: Final = "bare hop"
POD: Final = "the pod alone"
THREADS: Final = 2
"""`--concurrency` of the proxies' pods (components/kubernetes/pods.py)."""
_PROTOCOLS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

Change = Callable[[Snapshot], Snapshot]


@dataclass
class Chain:
    """A way to a pod."""

    name: str
    port: int
    hops: Mapping[str, int] = field(default_factory=dict)
    """Process id by what the process is."""
    path: str = "/invocations"
    ca_file: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    stop: Callable[[], None] = lambda: None


def product(
    folder: Path, pods: tuple[int, ...], *, name: str = PRODUCT, change: Change | None = None, threads: int = THREADS
) -> Chain:
    """The PopProxy and the LoadBalancer with the bootstrap, the configuration and the number of threads that they have
    in production: TLS, a valid token, an access list. `change` is made to the configuration."""
    folder.mkdir()
    write_certificate(folder)
    signer, control_plane = Signer(), proxies.ControlPlane()
    options = Options(
        pop_port=free_port(), load_balancer_port=free_port(), bind_address="127.0.0.1", tls_directory=str(folder)
    )
    spec = ModelEndpointSpec(
        versions=(ServedVersion(name="v1", model_uri="models:/m/1", image="image@sha256:0"),),
        allowed_subjects=(SUBJECT, "bob", "carol"),
    )
    world = World(
        keys=Keys.of(ISSUER, {"keys": [signer.jwk()]}),
        endpoints=(Endpoint(name=ENDPOINT, spec=spec),),
        pods={(ENDPOINT, "v1"): tuple(PodAddress("127.0.0.1", port) for port in pods)},
        balancers=(PodAddress("127.0.0.1", options.load_balancer_port),),
    )
    snapshot = build(world, options)
    control_plane.publish(snapshot if change is None else change(snapshot))
    envoys = [
        proxies.Envoy(role, folder, control_plane.port, concurrency=threads)
        for role in (names.POP_PROXY, names.LOAD_BALANCER)
    ]

    def stop() -> None:
        for envoy in envoys:
            envoy.stop()
        control_plane.stop()

    for proxy in envoys:
        try:
            proxy.wait_until_ready()
        except BaseException:
            print(proxy.log.read_text()[-3000:], file=sys.stderr)
            stop()
            raise
    return Chain(
        name=name,
        port=options.pop_port,
        hops={proxy.role: proxy.process.pid for proxy in envoys},
        path=PATH,
        ca_file=str(folder / "tls.crt"),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {signer.token()}"},
        stop=stop,
    )


class Balancer:
    """A LoadBalancer alone, of one endpoint, whose pods and activators come from the caller."""

    def __init__(self, folder: Path, *, threads: int = THREADS) -> None:
        self.port = free_port()
        self._options = Options(load_balancer_port=self.port, bind_address="127.0.0.1")
        self._control_plane = proxies.ControlPlane()
        self._envoy = proxies.Envoy(names.LOAD_BALANCER, folder, self._control_plane.port, concurrency=threads)
        self.pid = self._envoy.process.pid

    def publish(self, *, pods: tuple[PodAddress, ...], activators: tuple[PodAddress, ...]) -> None:
        """Makes these the endpoint's, and waits until the proxy has them."""
        spec = ModelEndpointSpec(versions=(ServedVersion(name="v1", model_uri="models:/m/1", image="image@sha256:0"),))
        world = World(
            keys=Keys.of(ISSUER, {"keys": []}),
            endpoints=(Endpoint(name=ENDPOINT, spec=spec),),
            pods={(ENDPOINT, "v1"): pods},
            activators=activators,
        )
        self._control_plane.publish(build(world, self._options))
        eventually(lambda: self._control_plane.settled({names.LOAD_BALANCER}), "the proxy knows", seconds=60)
        self._envoy.wait_until_ready()

    def stop(self) -> None:
        """Ends both processes."""
        self._envoy.stop()
        self._control_plane.stop()


def bare_envoys(folder: Path, pod: int, headers: Mapping[str, str], *, hops: int = 2, threads: int = THREADS) -> Chain:
    """Two Envoys that only pass on, with the product's protocols, or one; the request is the same but for its path,
    which they do not change."""
    folder.mkdir()
    write_certificate(folder)
    between, behind = _upstream_protocols()
    ports, admins = [free_port() for _ in range(hops)], [free_port() for _ in range(hops)]
    processes = []
    for at, upstream in enumerate([*ports[1:], pod]):
        config = bare.hop(
            name=f"hop-{at}",
            port=ports[at],
            admin_port=admins[at],
            upstream_port=upstream,
            upstream_protocol=behind if upstream == pod else between,
            tls="" if at else str(folder),
        )
        processes.append(_envoy(folder, f"hop-{at}", config, threads))

    def stop() -> None:
        for process in processes:
            process.terminate()
            process.wait(60)

    for port in admins:
        eventually(partial(_ready, port), "a bare Envoy is ready", seconds=60)
    labels = (EDGE, INNER) if hops == 2 else (EDGE,)
    return Chain(
        name=BARE if hops == 2 else ONE,
        port=ports[0],
        hops={label: process.pid for label, process in zip(labels, processes, strict=True)},
        ca_file=str(folder / "tls.crt"),
        headers=headers,
        stop=stop,
    )


def _ready(admin_port: int) -> bool:
    return proxies.get(admin_port, "/ready")[0] == 200


def straight(port: int) -> Chain:
    """The pod itself, without TLS, as the LoadBalancer asks it."""
    return Chain(name=POD, port=port, headers={"Content-Type": "application/json"})


def envoy() -> str:
    """Path of the program."""
    return proxies.envoy_path()


@contextmanager
def first_envoy_is(command: str) -> Iterator[None]:
    """Has `command` run in place of the first Envoy that the block starts."""
    commands, real = [command], proxies.envoy_path
    proxies.envoy_path = lambda: commands.pop() if commands else real()
    try:
        yield
    finally:
        proxies.envoy_path = real


def _envoy(folder: Path, label: str, config: dict[str, Any], threads: int) -> subprocess.Popen[bytes]:
    path = folder / f"{label}.json"
    path.write_text(json.dumps(config))
    command = [
        proxies.envoy_path(),
        "--config-path",
        str(path),
        "--concurrency",
        str(threads),
        "--disable-hot-restart",
    ]
    with path.with_suffix(".log").open("wb") as log:
        return subprocess.Popen([*command, "--log-level", "warning"], stdout=log, stderr=subprocess.STDOUT)


def _upstream_protocols() -> tuple[dict[str, Any], dict[str, Any]]:
    """What the PopProxy speaks to the LoadBalancer, and that to a pod, without their settings."""
    spec = ModelEndpointSpec(versions=(ServedVersion(name="v1", model_uri="models:/m/1", image="image@sha256:0"),))
    world = World(keys=Keys.of(ISSUER, {"keys": []}), endpoints=(Endpoint(name=ENDPOINT, spec=spec),))
    roles = build(world, Options()).roles
    found: list[dict[str, Any]] = []
    for role, cluster in ((names.POP_PROXY, names.LOAD_BALANCER), (names.LOAD_BALANCER, f"{ENDPOINT}/v1")):
        body = roles[role][CLUSTER][cluster].body
        (protocol,) = body["typed_extension_protocol_options"][_PROTOCOLS]["explicit_http_config"]
        found.append({protocol: {}})
    return found[0], found[1]
