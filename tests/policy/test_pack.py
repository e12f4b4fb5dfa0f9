"""The policy pack under the real engine: a preview with objects that break rules is refused, and says which."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from live_platform import quiet

from headrace.stacks.local.toolchain import builder

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
from headrace.components.kubernetes_object import KubernetesObject

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


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A program with one careless Deployment, and the environment of its stack."""
    folder = tmp_path_factory.mktemp("project")
    environment = {
        **os.environ,
        "PATH": f"{builder.deployer(quiet())}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    (folder / "Pulumi.yaml").write_text("name: careless\nruntime: python\n")
    (folder / "__main__.py").write_text(PROGRAM)
    subprocess.run(["pulumi", "stack", "init", "dev"], cwd=folder, env=environment, capture_output=True, check=True)
    return folder, environment


def test_a_preview_that_breaks_rules_is_refused_with_each_of_them(
    pack: Path, project: tuple[Path, dict[str, str]]
) -> None:
    folder, environment = project

    done = subprocess.run(
        ["pulumi", "preview", "--non-interactive", "--color", "never", "--policy-pack", pack],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    for rule in (
        "kubernetes-container-image-digest",
        "kubernetes-pod-restricted",
        "kubernetes-container-bounds",
        "headrace-deployment-replicas",
        "kubernetes-namespace-default-deny",
    ):
        assert f"[mandatory]  {rule}" in done.stdout
    assert "pin it as repository@sha256:<digest>" in done.stdout
