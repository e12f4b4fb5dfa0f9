"""NetworkPolicy is enforced, not merely written: who can open a connection to whom, tried from inside of pods."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_platform import Platform, eventually

from headrace.contract import metrics, names

MODEL_NAMESPACE = "endpoint-breast-cancer"
STRANGER = "test-stranger"
CONNECT = """
import socket, sys
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        print(address, "open", flush=True)
    except OSError:
        print(address, "closed", flush=True)
"""


@pytest.fixture(scope="module")
def stranger(platform: Platform) -> Iterator[str]:
    """A pod in a namespace of its own that has nothing to do with the platform; yields the namespace."""
    image = platform.kubectl(
        "-n", names.SYSTEM_NAMESPACE, "get", "deployment", names.ROUTING,
        "-o", "jsonpath={.spec.template.spec.containers[0].image}",
    )  # fmt: skip
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "namespace": STRANGER},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "stranger",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "command": ["/usr/bin/python3.11", "-c", "import time; time.sleep(3600)"],
                }
            ],
        },
    }
    platform.kubectl("create", "namespace", STRANGER)
    platform.kubectl("apply", "-f", "-", text=json.dumps(pod))
    platform.kubectl("-n", STRANGER, "wait", "--for=condition=Ready", "pod/stranger", "--timeout=60s")
    yield STRANGER
    platform.kubectl("delete", "namespace", STRANGER, "--wait=false")


def _pod(platform: Platform, namespace: str, selector: str) -> dict[str, Any]:
    """A pod that is ready: one that the autoscaler has sent away is still listed when its containers have ended."""
    ready = {"type": "Ready", "status": "True"}

    def found() -> list[dict[str, Any]]:
        listed = json.loads(platform.kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json"))["items"]
        return [pod for pod in listed if any(ready.items() <= told.items() for told in pod["status"]["conditions"])]

    return eventually(found)[0]


def _address(platform: Platform, namespace: str, selector: str) -> str:
    return str(_pod(platform, namespace, selector)["status"]["podIP"])


def _tried(platform: Platform, namespace: str, pod: str, python: str, *addresses: str) -> dict[str, str]:
    printed = platform.kubectl("-n", namespace, "exec", pod, "--", python, "-c", CONNECT, *addresses)
    return dict(line.split() for line in printed.splitlines())


def test_a_stranger_reaches_the_pop_and_nothing_behind_it(platform: Platform, stranger: str) -> None:
    model = _address(platform, MODEL_NAMESPACE, f"{names.VERSION_LABEL}=v1")
    part = f"{names.COMPONENT_LABEL}="
    pop = _address(platform, names.SYSTEM_NAMESPACE, part + names.POP_PROXY)
    balancer = _address(platform, names.SYSTEM_NAMESPACE, part + names.LOAD_BALANCER)
    routing = _address(platform, names.SYSTEM_NAMESPACE, part + names.ROUTING)

    tried = _tried(
        platform, stranger, "stranger", "/usr/bin/python3.11",
        f"{pop}:{names.POP_PORT}", f"{pop}:{names.ENVOY_ADMIN_PORT}", f"{balancer}:{names.LOAD_BALANCER_PORT}",
        f"{routing}:{names.XDS_PORT}", f"{model}:{names.FRONT_PORT}",
        f"{model}:{names.FRONT_ADMIN_PORT}",
    )  # fmt: skip

    assert tried == {
        f"{pop}:{names.POP_PORT}": "open",
        f"{pop}:{names.ENVOY_ADMIN_PORT}": "closed",
        f"{balancer}:{names.LOAD_BALANCER_PORT}": "closed",
        f"{routing}:{names.XDS_PORT}": "closed",
        f"{model}:{names.FRONT_PORT}": "closed",
        f"{model}:{names.FRONT_ADMIN_PORT}": "closed",
    }


def test_a_model_reaches_nobody(platform: Platform, stranger: str) -> None:
    pod = _pod(platform, MODEL_NAMESPACE, f"{names.VERSION_LABEL}=v1")["metadata"]["name"]
    api = platform.kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
    pop = _address(platform, names.SYSTEM_NAMESPACE, f"{names.COMPONENT_LABEL}={names.POP_PROXY}")

    tried = _tried(
        platform, MODEL_NAMESPACE, pod, f"{names.MODEL_ENVIRONMENT}/bin/python",
        f"{api}:443", f"{pop}:{names.POP_PORT}", "169.254.169.254:80",
    )  # fmt: skip

    assert set(tried.values()) == {"closed"}


@pytest.mark.parametrize("program", [names.ROUTING, names.AUTOSCALER])
def test_a_controller_reaches_the_api_server_and_nobody_else_on_its_ports(
    platform: Platform, stranger: str, program: str
) -> None:
    """Its programs' own connections are proven by their work: without the API server neither would be ready."""
    service = platform.kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
    port = platform.kubectl("get", "endpointslice", "kubernetes", "-o", "jsonpath={.ports[0].port}")
    listens = f"import socket; s = socket.create_server(('', {port})); [s.accept() for _ in iter(int, 1)]"
    platform.kubectl(
        "-n", stranger, "exec", "stranger", "--", "/usr/bin/python3.11", "-c",
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {listens!r}], start_new_session=True,"
        " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)",
    )  # fmt: skip
    elsewhere = platform.kubectl("-n", stranger, "get", "pod", "stranger", "-o", "jsonpath={.status.podIP}")
    here = f"{elsewhere}:{port}"
    eventually(lambda: _tried(platform, stranger, "stranger", "/usr/bin/python3.11", here) == {here: "open"})

    pod = _pod(platform, names.SYSTEM_NAMESPACE, f"{names.COMPONENT_LABEL}={program}")["metadata"]["name"]
    tried = _tried(platform, names.SYSTEM_NAMESPACE, pod, "/usr/bin/python3.11", f"{service}:443", here)

    assert tried == {f"{service}:443": "open", here: "closed"}


def test_a_model_pod_has_no_token_and_cannot_write_its_image(platform: Platform) -> None:
    pod = _pod(platform, MODEL_NAMESPACE, f"{names.VERSION_LABEL}=v1")["metadata"]["name"]
    probe = (
        "import os; print(os.getuid(), os.path.exists('/var/run/secrets/kubernetes.io'),"
        " os.access('/opt/model/model', os.W_OK))"
    )

    said = platform.kubectl(
        "-n", MODEL_NAMESPACE, "exec", pod, "--", f"{names.MODEL_ENVIRONMENT}/bin/python", "-c", probe
    )

    assert said.split() == [str(names.RUN_AS_USER), "False", "False"]


def test_a_model_can_neither_set_its_pods_limit_nor_look_into_its_front(platform: Platform) -> None:
    pod = _pod(platform, MODEL_NAMESPACE, f"{names.VERSION_LABEL}=v1")
    tried = f"""
import http.client, sys
for host in ("127.0.0.1", "{pod["status"]["podIP"]}"):
    asked = http.client.HTTPConnection(host, {names.FRONT_ADMIN_PORT}, timeout=5)
    asked.request("PUT", "{metrics.CONCURRENCY_PATH}", '{{"{metrics.CONCURRENCY_FIELD}": 1}}')
    print(asked.getresponse().status)
try:
    print(len(open("/proc/1/environ", "rb").read()))
except PermissionError:
    print("shut")
"""
    python = f"{names.MODEL_ENVIRONMENT}/bin/python"
    said = platform.kubectl("-n", MODEL_NAMESPACE, "exec", pod["metadata"]["name"], "--", python, "-c", tried)

    assert said.split() == ["403", "403", "shut"]


def test_a_pod_may_not_take_all_processes_of_the_node(platform: Platform) -> None:
    if not platform.cluster.embedded:
        pytest.skip("the cluster's own kubelet is not ours to configure")
    from headrace.local.node_programs import POD_PIDS  # noqa: PLC0415

    pod = _pod(platform, MODEL_NAMESPACE, f"{names.VERSION_LABEL}=v1")["metadata"]["uid"]
    limits = [path.read_text().strip() for path in Path("/sys/fs/cgroup").glob(f"**/pod{pod}/pids.max")]

    assert limits == [str(POD_PIDS)]


def test_the_api_server_refuses_a_privileged_pod_beside_the_model(platform: Platform) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "intruder", "namespace": MODEL_NAMESPACE},
        "spec": {"containers": [{"name": "x", "image": "x", "securityContext": {"privileged": True}}]},
    }

    with pytest.raises(AssertionError, match="violates PodSecurity"):
        platform.kubectl("apply", "-f", "-", text=json.dumps(pod))


def test_policy_holds_again_after_the_enforcer_was_killed(platform: Platform, stranger: str) -> None:
    if not platform.cluster.embedded:
        pytest.skip("the cluster's own network plugin is not ours to kill")
    import os  # noqa: PLC0415
    import signal  # noqa: PLC0415

    from live_platform import quiet  # noqa: PLC0415

    from headrace.local import cluster, cluster_layout  # noqa: PLC0415

    pid = int((cluster_layout.folders().processes / "kube-router.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: "kube-router" in cluster.status().stopped)

    cluster.start(quiet())

    assert "kube-router" in cluster.status().running
    model = _address(platform, MODEL_NAMESPACE, f"{names.VERSION_LABEL}=v1")
    address = f"{model}:{names.FRONT_PORT}"
    assert _tried(platform, stranger, "stranger", "/usr/bin/python3.11", address) == {address: "closed"}
