"""Changes and failures of the control plane under load: no request is lost, and nothing is forgotten."""

import hashlib
import socket
import ssl
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from patience import eventually

from headrace.contract import names
from headrace.routing.snapshot import Snapshot, build
from headrace.routing.snapshot.resources import LISTENER, Resource

pytestmark = pytest.mark.slow


def serve_one(platform: Any, make_endpoint: Any) -> Any:
    server = platform.server("one")
    platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (server,)})
    return server


def test_proxies_serve_on_while_the_control_plane_is_away_and_after_it_is_back(
    platform: Any, make_endpoint: Any, load: Any, restart_control_plane: Any
) -> None:
    serve_one(platform, make_endpoint)
    with load() as requests:
        requests.more()
        platform.control_plane.stop()
        requests.more()
        restart_control_plane()
        requests.more()
        platform.control_plane.publish(build(platform.world, platform.options))
        platform.settle()
        requests.more()
        late = platform.server("late")
        platform.publish(make_endpoint("fraud"), pods={("fraud", "v1"): (late,)})
        requests.more()
    assert not requests.failures
    assert requests.served_by()[-1] == "late"


def test_a_control_plane_that_knows_nothing_yet_tells_nothing(
    platform: Any, make_endpoint: Any, load: Any, restart_control_plane: Any
) -> None:
    serve_one(platform, make_endpoint)
    platform.control_plane.stop()
    restart_control_plane()
    with load() as requests:
        eventually(
            lambda: platform.control_plane.connected() == {names.POP_PROXY, names.LOAD_BALANCER}, "proxies are back"
        )
        requests.more(100)
    assert not requests.failures
    assert platform.balancer.admin("/clusters")[1].count(b"fraud/v1::127.0.0.1") > 0
    platform.control_plane.publish(build(platform.world, platform.options))
    platform.settle()


def test_a_restarted_control_plane_does_not_repeat_what_proxies_know(
    platform: Any, make_endpoint: Any, restart_control_plane: Any
) -> None:
    serve_one(platform, make_endpoint)
    platform.control_plane.stop()
    restart_control_plane()
    before = {envoy.role: updates(envoy) for envoy in (platform.pop, platform.balancer)}
    platform.control_plane.publish(build(platform.world, platform.options))
    platform.settle()
    after = {envoy.role: updates(envoy) for envoy in (platform.pop, platform.balancer)}
    assert after == before


def updates(envoy: Any) -> dict[str, str]:
    text = envoy.admin("/stats?filter=(lds|rds|eds|sds).*config_reload|(lds|cds).update_success")[1].decode()
    lines = [line.split(": ") for line in text.splitlines() if "config_reload:" in line]
    return dict(lines)


def test_moving_all_traffic_to_a_new_version_loses_nothing(
    platform: Any, make_endpoint: Any, make_version: Any, load: Any
) -> None:
    pods = {("fraud", f"v{number}"): (platform.server(f"v{number}"),) for number in range(1, 5)}
    platform.publish(make_endpoint("fraud", make_version("v1")), pods=pods)
    with load() as requests:
        for old, new in (("v1", "v2"), ("v2", "v3"), ("v3", "v4")):
            requests.more(30)
            platform.publish(make_endpoint("fraud", make_version(old, 50), make_version(new, 50)), pods=pods)
            requests.more(30)
            platform.publish(make_endpoint("fraud", make_version(new)), pods=pods)
    assert not requests.failures
    assert set(requests.served_by()) == {"v1", "v2", "v3", "v4"}


def test_a_replaced_version_is_replaced_at_once_without_a_gap(
    platform: Any, make_endpoint: Any, make_version: Any, load: Any
) -> None:
    pods = {("fraud", f"v{number}"): (platform.server(f"v{number}"),) for number in range(1, 8)}
    platform.publish(make_endpoint("fraud", make_version("v1")), pods=pods)
    with load() as requests:
        for number in range(2, 8):
            requests.more(15)
            platform.publish(make_endpoint("fraud", make_version(f"v{number}")), pods=pods)
    assert not requests.failures
    served = requests.served_by()
    assert [name for name, _ in Counter(served).items()] == sorted(set(served)), "never back to an older one"


def test_a_removed_endpoint_is_404_and_its_clusters_are_gone(platform: Any, make_endpoint: Any, load: Any) -> None:
    server = platform.server("one")
    pods = {("fraud", "v1"): (server,), ("other", "v1"): (server,)}
    platform.publish(make_endpoint("fraud"), make_endpoint("other"), pods=pods)
    with load("/other/invocations") as requests:
        requests.more(30)
        platform.publish(make_endpoint("other"), pods=pods)
        requests.more(30)
    assert not requests.failures
    assert platform.request("/fraud/invocations").status == 404
    eventually(lambda: b"fraud/v1::" not in platform.balancer.admin("/clusters")[1], "cluster removed")


def test_a_refused_configuration_is_counted_and_the_one_before_kept(
    platform: Any, make_endpoint: Any, load: Any
) -> None:
    serve_one(platform, make_endpoint)
    good = build(platform.world, platform.options)
    pop = dict(good.roles[names.POP_PROXY])
    listener = pop[LISTENER][names.POP_PROXY]
    broken = {**listener.body, "listener_filters_timeout": "-1s", "filter_chains": []}
    pop[LISTENER] = {names.POP_PROXY: Resource.of(names.POP_PROXY, broken)}
    before = platform.control_plane.rejections()
    with load() as requests:
        platform.control_plane.publish(Snapshot({**good.roles, names.POP_PROXY: pop}))
        eventually(lambda: platform.control_plane.rejections() > before, "refusal counted")
        requests.more(30)
        platform.control_plane.publish(good)
        platform.settle()
        requests.more(30)
    assert not requests.failures


def test_a_proxy_is_not_ready_before_it_was_told_anything(start_envoy: Any) -> None:
    control_plane, envoy = start_envoy()
    eventually(lambda: control_plane.connected() == {envoy.role}, "connected")
    assert envoy.stats("/ready")[0] != 200
    assert envoy.admin("/ready")[0] == 503


def served_certificate(platform: Any) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", platform.options.pop_port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return hashlib.sha256(certificate).hexdigest()


def test_a_renewed_certificate_is_served_without_losing_a_request(
    platform: Any, make_endpoint: Any, load: Any, renew_certificate: Any
) -> None:
    serve_one(platform, make_endpoint)
    with load() as requests:
        for _ in range(3):
            before = served_certificate(platform)
            requests.more(20)
            renew_certificate(platform.tls_directory)
            eventually(lambda before=before: served_certificate(platform) != before, "new certificate served")
            requests.more(20)
    assert not requests.failures


def test_rotated_issuer_keys_lose_no_request(
    platform: Any, make_endpoint: Any, load: Any, signer: Any, keys_of: Any
) -> None:
    serve_one(platform, make_endpoint)
    before = platform.world.keys
    with load() as requests:
        requests.more(20)
        platform.publish_world(keys=keys_of(signer, type(signer)(kid="two")))
        requests.more(50)
        platform.publish_world(keys=before)
        requests.more(50)
    assert not requests.failures


def test_a_balancer_that_is_listed_but_dead_loses_no_request(platform: Any, make_endpoint: Any, load: Any) -> None:
    serve_one(platform, make_endpoint)
    own = platform.world.balancers
    extra = replace(own[0], ip="127.0.0.2")
    with load() as requests:
        requests.more(20)
        platform.publish_world(balancers=(*own, extra))
        requests.more(100)
        platform.publish_world(balancers=own)
        requests.more(20)
    assert not requests.failures, "an address that refuses connections is tried elsewhere, then set aside"


@pytest.mark.parametrize("second_proxy", [names.POP_PROXY, names.LOAD_BALANCER], indirect=True)
def test_a_proxy_that_leaves_finishes_what_it_has_and_sends_clients_elsewhere(
    platform: Any, make_endpoint: Any, load: Any, second_proxy: Any
) -> None:
    server = serve_one(platform, make_endpoint)
    slow = platform.server("slow")
    slow.delay = 2.5
    pods = {("fraud", "v1"): (server,), ("slow", "v1"): (slow,)}
    platform.publish(make_endpoint("fraud"), make_endpoint("slow"), pods=pods)
    eventually(lambda: used(platform, second_proxy), "the one that will leave is in use")
    with load() as requests, load("/slow/invocations", clients=6) as slow_requests:
        eventually(lambda: len(slow.requests) >= 6, "slow requests are inside")
        assert active(second_proxy) > 0
        second_proxy.drain()
        assert active(second_proxy) == 0
        second_proxy.stop()
        requests.more(20)
        eventually(lambda: len(slow_requests.outcomes) >= 6, "slow requests are answered")
    assert not requests.failures
    assert not slow_requests.failures


def used(platform: Any, proxy: Any) -> bool:
    """Whether requests go through this proxy; lets the PopProxy connect to the LoadBalancers anew when not."""
    before = active(proxy, "downstream_rq_total")
    if proxy.role == names.LOAD_BALANCER:
        own = platform.world.balancers
        platform.publish_world(balancers=())
        platform.publish_world(balancers=own)
    platform.request("/fraud/invocations")
    return active(proxy, "downstream_rq_total") > before


def active(envoy: Any, name: str = "downstream_rq_active") -> int:
    text = envoy.admin(f"/stats?filter={name}$")[1].decode()
    (line,) = [line for line in text.splitlines() if line.startswith(f"http.{envoy.role.replace('-', '_')}.")]
    return int(line.split(": ")[1])
