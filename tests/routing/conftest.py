"""A real Envoy of each role, a real ADS server, small real model servers and API server; all on loopback."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

# Under importlib mode no folder of tests is on the path.
sys.path.insert(0, str(Path(__file__).parent))

from clients import Load, Platform
from grpc_server import Caller, GrpcServer
from issuer import ISSUER, Signer, write_certificate
from management_server import ManagementServer, item_of
from patience import free_port
from proxies import ControlPlane, Envoy
from stand_in_collector import StandInCollector

from headrace.contract import names
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion
from headrace.routing.snapshot import Endpoint, Keys, Options, PodAddress, World, build


def version(name: str, weight: int = 100, shadow: int = 0) -> ServedVersion:
    return ServedVersion(name=name, model_uri=f"models:/m/{name}", image="image@sha256:0", weight=weight, shadow=shadow)


def endpoint(
    name: str,
    *versions: ServedVersion,
    subjects: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    timeout: float = 297.0,
) -> Endpoint:
    spec = ModelEndpointSpec(
        versions=versions or (version("v1"),),
        allowed_subjects=subjects,
        allowed_groups=groups or None,
        timeout_seconds=timeout,
    )
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


@pytest.fixture
def second_proxy(platform: Platform, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Envoy]:
    """Another proxy on the same port: the kernel spreads connections over both, as a Service would."""
    envoy = Envoy(request.param, tmp_path, platform.control_plane.port, name="second")
    envoy.wait_until_ready()
    yield envoy
    envoy.stop()


@pytest.fixture(scope="session")
def make_caller() -> Callable[[int, Path], Caller]:
    return Caller


@pytest.fixture
def make_grpc_server() -> Iterator[Callable[[str], GrpcServer]]:
    """Pods that speak gRPC, stopped after the test."""
    servers: list[GrpcServer] = []

    def make(name: str) -> GrpcServer:
        servers.append(GrpcServer(name))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def collector(platform: Platform) -> Iterator[StandInCollector]:
    """Where both proxies send spans and lines."""
    server = StandInCollector(platform.options.collector)
    yield server
    server.stop()


@pytest.fixture
def management(platform: Platform) -> Iterator[ManagementServer]:
    """A pod of the management API, which knows the objects in `items`."""
    server = ManagementServer()
    platform.publish_world(managers=(server.address,))
    yield server
    server.stop()


@pytest.fixture
def objects_of() -> Callable[..., Any]:
    """The object of an endpoint."""
    return item_of


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
        request_timeout_seconds=3.0,  # not so long that tests wait for it, nor so short that a busy client misses it
        headers_timeout_seconds=3.0,
        collector=f"127.0.0.1:{free_port()}",  # where nobody listens, but in test_tracing.py: no request knows it
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
            envoy.wait_until_ready()
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
    running_platform.world = replace(before, endpoints=(), pods={}, managers=(), activators=(), other_issuers=())
