"""The policy pack under the real engine: a preview with objects that break rules is refused, and says which."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pulumi_preview import preview

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOWHERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "nowhere",
    "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
    "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "nobody", "user": {}}],
}
"""A preview of new objects asks no cluster."""
PROGRAM = f"""
import pulumi, pulumi_kubernetes
from headrace.components.kubernetes.object import KubernetesObject

provider = pulumi_kubernetes.Provider("nowhere", kubeconfig={json.dumps(NOWHERE)!r})
KubernetesObject("careless", {{
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {{"name": "careless", "namespace": "shop", "labels": {{"serving.headrace.dev/endpoint": "fraud"}}}},
    "spec": {{
        "replicas": 0,
        "selector": {{"matchLabels": {{"app": "careless"}}}},
        "template": {{
            "metadata": {{"labels": {{"app": "careless"}}}},
            "spec": {{"containers": [{{"name": "web", "image": "nginx:latest"}}]}},
        }},
    }},
}}, pulumi.ResourceOptions(provider=provider))
"""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the pack with the environment that docs/policy.md tells users to make."""
    folder = tmp_path_factory.mktemp("pack") / "policy"
    shutil.copytree(ROOT / "policy", folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, folder / ".venv"], check=True)
    interpreter = folder / ".venv" / "bin" / "python"
    requirements = folder / "requirements.txt"
    subprocess.run([*uv, "pip", "install", "-q", "--python", interpreter, "-r", requirements, "pip"], check=True)
    return folder


def test_a_preview_that_breaks_rules_is_refused_with_each_of_them(pack: Path, tmp_path: Path) -> None:
    done = preview(tmp_path, PROGRAM, "--policy-pack", str(pack))

    assert done.returncode != 0
    for rule in (
        "kubernetes-container-image-digest",
        "kubernetes-pod-restricted",
        "kubernetes-container-read-only",
        "kubernetes-pod-api-token",
        "kubernetes-pod-account",
        "kubernetes-container-bounds",
        "headrace-deployment-replicas",
        "kubernetes-namespace-default-deny",
    ):
        assert f"[mandatory]  {rule}" in done.stdout
    assert "pin it as repository@sha256:<digest>" in done.stdout


ENDPOINT = f"""
import pulumi, pulumi_kubernetes
from headrace.components.kubernetes.object import KubernetesObject

provider = pulumi_kubernetes.Provider("nowhere", kubeconfig={json.dumps(NOWHERE)!r})
KubernetesObject("fraud", {{
    "apiVersion": "serving.headrace.dev/v1alpha1",
    "kind": "ModelEndpoint",
    "metadata": {{"name": "fraud", "namespace": "endpoint-fraud"}},
    "spec": {{"versions": [{{"name": "v7", "modelUri": "models:/fraud/latest", "image": "x"}}]}},
}}, pulumi.ResourceOptions(provider=provider))

class PopProxy(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("headrace:index:PopProxy", name, {{"host": "models.example"}})

PopProxy("pop")
"""


@pytest.mark.parametrize(
    ("stack", "levels"),
    [
        ("dev", {"access": "advisory", "model-version": None, "certificate": None}),
        ("prod", {"access": "mandatory", "model-version": "mandatory", "certificate": "mandatory"}),
    ],
)
def test_what_is_advice_for_a_developer_stops_production(
    pack: Path, tmp_path: Path, stack: str, levels: dict[str, str | None]
) -> None:
    settings = pack / "stacks" / f"{stack}.json"
    done = preview(tmp_path, ENDPOINT, "--policy-pack", str(pack), "--policy-pack-config", str(settings))

    assert (done.returncode != 0) == ("mandatory" in levels.values()), done.stdout + done.stderr
    for rule, level in levels.items():
        name = f"headrace-{'platform' if rule == 'certificate' else 'endpoint'}-{rule}"
        assert (f"[{level}]  {name}" in done.stdout) if level else name not in done.stdout, done.stdout
