"""An Envoy's pod: how it leaves and when it is replaced. tests/components/kubernetes/test_pods.py has the rest."""

from typing import Any

import pytest
from stand_ins import IMAGE

from headrace.components.platform import envoy_bootstrap
from headrace.components.platform.proxy_pod import proxy_pod
from headrace.contract import names

PODS = {
    names.POP_PROXY: proxy_pod(
        names.POP_PROXY, image=IMAGE, labels={}, port=8443, bootstrap={}, tls_secret="pop-proxy-tls"
    ),
    names.LOAD_BALANCER: proxy_pod(names.LOAD_BALANCER, image=IMAGE, labels={}, port=8080, bootstrap={}),
}


@pytest.mark.parametrize("proxy", [names.POP_PROXY, names.LOAD_BALANCER])
def test_a_proxy_that_leaves_ends_after_its_last_request_and_within_its_grace(proxy: str) -> None:
    spec = PODS[proxy]["spec"]
    (container,) = spec["containers"]
    longest = spec["terminationGracePeriodSeconds"] - 5

    drain = envoy_bootstrap.drain_command(proxy, longest_seconds=longest)
    assert container["lifecycle"]["preStop"]["exec"]["command"] == drain
    assert set(envoy_bootstrap.ARGUMENTS) <= set(container["command"])
    assert longest > 297


def test_the_proxy_restarts_when_its_configuration_changes_and_only_then() -> None:
    def digest(bootstrap: dict[str, Any]) -> dict[str, str]:
        pod = proxy_pod(names.POP_PROXY, image=IMAGE, labels={}, port=8443, bootstrap=bootstrap)
        annotations: dict[str, str] = pod["metadata"]["annotations"]
        return annotations

    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_the_renewed_certificate_reaches_a_running_proxy() -> None:
    """A subPath mount never changes under a running container, so the certificate has a volume of its own."""
    (container,) = PODS["pop-proxy"]["spec"]["containers"]
    (tls,) = [mount for mount in container["volumeMounts"] if mount["name"] == "tls"]

    assert tls["mountPath"] == "/etc/headrace/tls"
    assert "subPath" not in tls


@pytest.mark.parametrize("proxy", [names.POP_PROXY, names.LOAD_BALANCER])
def test_a_proxys_memory_is_what_its_configuration_reckons_with(proxy: str) -> None:
    (container,) = PODS[proxy]["spec"]["containers"]
    monitors = envoy_bootstrap.bootstrap(proxy)["overload_manager"]["resource_monitors"]
    (heap,) = [monitor["typed_config"]["max_heap_size_bytes"] for monitor in monitors if "heap" in monitor["name"]]
    limits = container["resources"]["limits"]
    assert limits["memory"] == container["resources"]["requests"]["memory"] == f"{heap // 2**20}Mi"
