"""Objects that the program reads, under the real engine and a server that answers as an API server without one does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pulumi_preview
import pytest

pytestmark = pytest.mark.slow

GROUP = "apiregistration.k8s.io"
VERSION = {"groupVersion": f"{GROUP}/v1", "version": "v1"}
SERVICES = {"name": "apiservices", "singularName": "", "namespaced": False, "kind": "APIService", "verbs": ["get"]}
ANSWERS: dict[str, Any] = {
    "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis": {"kind": "APIGroupList", "groups": [{"name": GROUP, "versions": [VERSION], "preferredVersion": VERSION}]},
    f"/apis/{GROUP}/v1": {"kind": "APIResourceList", "groupVersion": f"{GROUP}/v1", "resources": [SERVICES]},
    f"/apis/{GROUP}/v1/apiservices/v1.external-secrets.io": {
        "apiVersion": f"{GROUP}/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.external-secrets.io"},
    },
}
MISSING = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@pytest.fixture
def server() -> Iterator[str]:
    """Address of an API server that serves the API of the External Secrets Operator and not that of Cilium."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            is_schema = path == "/openapi/v2"  # empty, in protobuf's form
            found = ANSWERS.get(path)
            body = b"" if is_schema else json.dumps(MISSING if found is None else found).encode()
            self.send_response(200 if is_schema or found is not None else 404)
            kind = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf" if is_schema else "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()


def program(server: str, api: str) -> str:
    """One that needs the API before it makes a namespace."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "nobody", "user": {}}],
    }
    return f"""
import pulumi, pulumi_kubernetes
from headrace.components.kubernetes.object import KubernetesObject, ServedApi

here = pulumi_kubernetes.Provider("here", kubeconfig={json.dumps(kubeconfig)!r})
api = ServedApi("fraud-needs-api", {api!r}, pulumi.ResourceOptions(provider=here))
space = {{"apiVersion": "v1", "kind": "Namespace", "metadata": {{"name": "endpoint-fraud"}}}}
KubernetesObject("fraud-namespace", space, pulumi.ResourceOptions(provider=here, depends_on=[api]))
"""


def test_a_cluster_that_serves_an_api_is_let_pass(server: str, tmp_path: Path) -> None:
    done = pulumi_preview.preview(tmp_path, program(server, "external-secrets.io/v1"))

    assert done.returncode == 0, done.stdout
    assert "fraud-namespace" in done.stdout


def test_the_preview_fails_on_a_cluster_that_does_not_serve_it(server: str, tmp_path: Path) -> None:
    done = pulumi_preview.preview(tmp_path, program(server, "cilium.io/v2"))

    assert done.returncode != 0
    assert "resource 'v2.cilium.io' does not exist" in done.stdout
    assert "fraud-namespace" not in done.stdout
    assert "Traceback" not in done.stdout
