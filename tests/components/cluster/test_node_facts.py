"""Which processors the nodes have, asked of a server that speaks as much of Kubernetes' API as the question needs.

The real one is asked in tests/e2e/test_architectures.py.
"""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from headrace.components.cluster import node_facts as module
from headrace.components.cluster.node_facts import NodeFacts, mounts_images, node_facts


def node(name: str, architecture: str, **told: str) -> dict[str, Any]:
    """As the API server has it: the client refuses a nodeInfo that lacks one of its fields."""
    fields = ("bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion", "machineID")
    rest = dict.fromkeys((*fields, "operatingSystem", "osImage", "systemUUID"), "x")
    return {"metadata": {"name": name}, "status": {"nodeInfo": {**rest, "architecture": architecture, **told}}}


@pytest.fixture
def cluster() -> Iterator[Callable[..., dict[str, Any]]]:
    """Serves the nodes page by page; returns a kubeconfig that leads there."""
    servers = []

    def serve(nodes: list[dict[str, Any]], *, status: int = 200) -> dict[str, Any]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
                first = int(query.get("continue", "0"))
                last = first + int(query["limit"])
                more = {"continue": str(last)} if last < len(nodes) else {}
                body = json.dumps({"kind": "NodeList", "metadata": more, "items": nodes[first:last]}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return kubeconfig(f"http://127.0.0.1:{server.server_port}")

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def kubeconfig(address: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "near", "user": "me"}}],
        "clusters": [{"name": "near", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": "hush"}}],
    }


def test_each_architecture_is_named_once_however_many_pages_the_nodes_fill(
    cluster: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    nodes = [node(f"n{number}", "amd64") for number in range(4)] + [node("last", "arm64")]

    assert node_facts(cluster(nodes)).architectures == ("amd64", "arm64")


def test_nodes_for_which_no_image_is_made_do_not_count(cluster: Callable[..., dict[str, Any]]) -> None:
    assert node_facts(cluster([node("mainframe", "s390x"), node("usual", "amd64")])).architectures == ("amd64",)


def test_a_cluster_without_nodes_or_rights_or_a_server_says_nothing(cluster: Callable[..., dict[str, Any]]) -> None:
    assert node_facts(cluster([])) == NodeFacts()
    assert node_facts(cluster([node("n", "amd64")], status=403)) == NodeFacts()
    assert node_facts(kubeconfig("http://127.0.0.1:9")) == NodeFacts()


def test_images_are_mounted_where_every_node_can(cluster: Callable[..., dict[str, Any]]) -> None:
    able = node("able", "amd64", kubeletVersion="v1.36.3", containerRuntimeVersion="containerd://2.1.4")
    old = node("old", "amd64", kubeletVersion="v1.36.3", containerRuntimeVersion="containerd://1.6.20~ds1")

    assert node_facts(cluster([able])).image_volumes
    assert not node_facts(cluster([able, old])).image_volumes


@pytest.mark.parametrize(
    ("kubelet", "runtime", "can"),
    [
        ("v1.35.0", "containerd://2.1.0", True),
        ("v1.35.0-eks-1a2b", "cri-o://1.31.4", True),
        ("v1.34.9", "containerd://2.2.0", False),
        ("v1.36.0", "containerd://2.0.5", False),
        ("v1.36.0", "docker://29.0.0", False),
        ("", "", False),
    ],
)
def test_both_the_kubelet_and_the_runtime_must_be_able(kubelet: str, runtime: str, *, can: bool) -> None:
    assert mounts_images(kubelet, runtime) is can
