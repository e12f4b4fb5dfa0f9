"""A cluster with one endpoint as the API server shows it, and a kubeconfig that leads there."""

import json
from pathlib import Path
from typing import Any

import api_server
from typer.testing import CliRunner

from headrace.cli.__main__ import app
from headrace.contract import names

KINDS = f"/apis/{names.API_GROUP}/{names.API_VERSION}"
SPACE = "endpoint-fraud"


def condition(kind: str, status: str, reason: str, message: str = "as it is", *, at: str) -> dict[str, Any]:
    """An entry of `status.conditions`."""
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at}


def endpoint(*conditions: dict[str, Any], name: str = "fraud") -> dict[str, Any]:
    """A ModelEndpoint of two versions."""
    versions = [
        {"name": "v7", "modelUri": "models:/fraud/7", "image": "fraud@sha256:7", "weight": 90},
        {"name": "v8", "modelUri": "models:/fraud/8", "image": "fraud@sha256:8", "weight": 10, "shadow": 5},
    ]
    return {
        "metadata": {"name": name, "namespace": f"endpoint-{name}"},
        "spec": {"versions": versions},
        "status": {"conditions": list(conditions)},
    }


def autoscaler(name: str = "v7", **status: Any) -> dict[str, Any]:
    """The AutopilotPodAutoscaler of one version."""
    return {"metadata": {"name": name, "namespace": SPACE}, "status": status}


class ClusterView:
    """The cluster's answers, which a test sets by path, and the command line asking it."""

    def __init__(self, folder: Path) -> None:
        self.server = api_server.ApiServer()
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps({
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": self.server.host}}],
            "users": [{"name": "test", "user": {}}],
        }))  # fmt: skip
        self.lists(f"{KINDS}/{names.MODEL_ENDPOINT_PLURAL}")
        self.lists(f"{KINDS}/{names.APA_PLURAL}")

    def lists(self, path: str, *items: dict[str, Any]) -> None:
        """What a list holds; each item with a name can be read alone, too."""
        self.server.documents[path] = {"metadata": {"resourceVersion": "1"}, "items": list(items)}
        for item in items:
            if name := item["metadata"].get("name"):
                self.server.documents[f"{path}/{name}"] = item

    def has(self, item: dict[str, Any], *autoscalers: dict[str, Any]) -> None:
        """The cluster's only endpoint, and its autoscalers."""
        within = f"{KINDS}/namespaces/{item['metadata']['namespace']}"
        for place in (KINDS, within):
            self.lists(f"{place}/{names.MODEL_ENDPOINT_PLURAL}", item)
            self.lists(f"{place}/{names.APA_PLURAL}", *autoscalers)

    def run(self, *arguments: str) -> Any:
        """`headrace` with these arguments: exit_code, stdout, stderr."""
        return CliRunner().invoke(app, [*arguments, "--kubeconfig", str(self.kubeconfig)])
