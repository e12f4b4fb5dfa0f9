"""Who may ask the control plane: real gRPC clients and a real Envoy, with and without a certificate of the proxies."""

import datetime
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from generated_worlds import KEYS, OPTIONS
from patience import eventually
from proxies import ControlPlane, Envoy

from headrace.components.platform.identities import issued
from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.routing.ads import identity
from headrace.routing.snapshot import World, build
from headrace.routing.snapshot.resources import CLUSTER

pytestmark = pytest.mark.slow
PROGRAMS = (names.ROUTING, names.POP_PROXY, names.LOAD_BALANCER)


def put(folder: Path, made: dict[str, Any]) -> None:
    """Every program's identity, in a folder of its name, swapped in as the kubelet swaps a Secret."""
    for program in PROGRAMS:
        pair, here = made["pairs"][program], folder / program
        version = here / f"..{time.monotonic_ns()}"
        version.mkdir(parents=True)
        files = {"tls.crt": pair["certificate"], "tls.key": pair["private_key"], "ca.crt": made["trusted"]}
        for name, text in files.items():
            (version / name).write_text(text)
            if not (here / name).is_symlink():
                (here / name).symlink_to(f"..data/{name}")
        (here / "..data_tmp").symlink_to(version.name)
        os.replace(here / "..data_tmp", here / "..data")


@pytest.fixture
def made(now: Any) -> dict[str, Any]:
    return issued(now)


@pytest.fixture
def now() -> Any:
    return datetime.datetime.now(datetime.UTC)


@pytest.fixture
def folder(tmp_path: Path, made: dict[str, Any]) -> Path:
    put(tmp_path, made)
    return tmp_path


@pytest.fixture
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    started = ControlPlane(credentials=identity.credentials(str(folder / names.ROUTING)))
    started.publish(build(World(keys=KEYS), OPTIONS))
    yield started
    started.stop()


def asked(control_plane: ControlPlane, role: str, trusted: str, pair: dict[str, str] | None) -> grpc.StatusCode:
    """How a stream ends, or OK once it was told anything."""
    own = (
        {}
        if pair is None
        else {"private_key": pair["private_key"].encode(), "certificate_chain": pair["certificate"].encode()}
    )
    credentials = grpc.ssl_channel_credentials(trusted.encode(), **own)
    options = [("grpc.ssl_target_name_override", names.CONTROL_PLANE_HOST)]
    first = discovery_pb2.DeltaDiscoveryRequest(type_url=CLUSTER)
    first.node.cluster = role
    with grpc.secure_channel(f"127.0.0.1:{control_plane.port}", credentials, options) as channel:
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
        stream = stub.DeltaAggregatedResources(iter([first]), timeout=15)
        try:
            next(stream, None)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("role", [names.POP_PROXY, names.LOAD_BALANCER])
def test_a_proxy_is_told_what_its_certificate_is_for(
    control_plane: ControlPlane, made: dict[str, Any], role: str
) -> None:
    assert asked(control_plane, role, made["trusted"], made["pairs"][role]) is grpc.StatusCode.OK


def test_who_has_no_certificate_or_one_of_another_authority_is_told_nothing(
    control_plane: ControlPlane, made: dict[str, Any], now: Any
) -> None:
    forged = issued(now)["pairs"][names.POP_PROXY]
    for pair in (None, forged):
        assert asked(control_plane, names.POP_PROXY, made["trusted"], pair) is grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(f"127.0.0.1:{control_plane.port}") as channel:
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            next(stub.DeltaAggregatedResources(iter([discovery_pb2.DeltaDiscoveryRequest()]), timeout=15))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_one_proxy_is_not_told_what_another_may_know(control_plane: ControlPlane, made: dict[str, Any]) -> None:
    balancer = made["pairs"][names.LOAD_BALANCER]
    status = asked(control_plane, names.POP_PROXY, made["trusted"], balancer)
    assert status is grpc.StatusCode.PERMISSION_DENIED


def test_a_certificate_past_its_life_is_refused(control_plane: ControlPlane, folder: Path, now: Any) -> None:
    past = issued(now - datetime.timedelta(days=4000))
    fresh = issued(now, trusted_before=past["authority"])
    put(folder, fresh)
    status = asked(control_plane, names.POP_PROXY, fresh["trusted"], past["pairs"][names.POP_PROXY])
    assert status is grpc.StatusCode.UNAVAILABLE


@pytest.fixture
def envoy(folder: Path, control_plane: ControlPlane) -> Iterator[Callable[[str], Envoy]]:
    started: list[Envoy] = []

    def start(program: str) -> Envoy:
        started.append(
            Envoy(names.POP_PROXY, folder, control_plane.port, identity=folder / program, name=f"as-{program}")
        )
        return started[-1]

    yield start
    for each in started:
        each.stop()


def test_a_real_proxy_gets_its_configuration_and_keeps_it_through_a_renewal(
    envoy: Callable[[str], Envoy], control_plane: ControlPlane, folder: Path, made: dict[str, Any], now: Any
) -> None:
    proxy = envoy(names.POP_PROXY)
    eventually(lambda: control_plane.connected() == {names.POP_PROXY}, "the proxy is known")

    renewed = issued(now, trusted_before=made["authority"])
    put(folder, renewed)
    serial = renewed["pairs"][names.POP_PROXY]["certificate"]
    loaded = "cluster.control-plane.client_ssl_socket_factory.ssl_context_update_by_sds: "

    def updates() -> int:
        lines = proxy.admin("/stats")[1].decode().splitlines()
        return sum(int(line.removeprefix(loaded)) for line in lines if line.startswith(loaded))

    eventually(lambda: updates() >= 4, f"the proxy has read its new pair and whom it believes: {serial[:30]}")
    port = control_plane.port
    control_plane.stop()
    again = ControlPlane(port, credentials=identity.credentials(str(folder / names.ROUTING)))
    try:
        eventually(lambda: again.connected() == {names.POP_PROXY}, "it came back with its new certificate")
    finally:
        again.stop()


def test_a_real_proxy_with_another_programs_certificate_stays_without(
    envoy: Callable[[str], Envoy], control_plane: ControlPlane
) -> None:
    proxy = envoy(names.LOAD_BALANCER)
    eventually(lambda: "must be a name of the caller" in proxy.log.read_text(), "the control plane says why")
    assert proxy.stats("/ready")[0] != 200
    assert not control_plane.connected()


def test_a_control_plane_without_an_identity_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tls\.crt cannot be read; mount the Secret that ControlPlane makes"):
        identity.credentials(str(tmp_path))


def test_half_a_renewal_changes_nothing(control_plane: ControlPlane, folder: Path, made: dict[str, Any]) -> None:
    (folder / names.ROUTING / "..data").unlink()
    assert asked(control_plane, names.POP_PROXY, made["trusted"], made["pairs"][names.POP_PROXY]) is grpc.StatusCode.OK
