"""A running demo, how to ask it, and how to see that nothing of it is left.

Nothing here waits a fixed time: `eventually` asks until the world is as it should be, or says what it was last.
"""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import patience

from headrace.contract import names
from headrace.local import cluster, cluster_layout, demo
from headrace.local.demo_model import RegisteredModel
from headrace.local.pulumi_stack import PulumiStack
from headrace.local.target_cluster import TargetCluster
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back from the PoP."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A running demo and how to ask it."""

    description: dict[str, Any]
    model: RegisteredModel
    cluster: TargetCluster
    stack: PulumiStack

    def ask(
        self,
        body: Any,
        *,
        path: str | None = None,
        token: str | None = "",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """POST through the PoP. `token` "" is the demo's own, None sends none."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.description['token']}"
        request = urllib.request.Request(
            self.description["url"] + (path or names.invocations_path(self.description["endpoint"])),
            data=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers=sent,
        )
        context = ssl.create_default_context(cafile=self.description["ca_file"])
        try:
            with urllib.request.urlopen(request, context=context, timeout=60) as response:
                return _answer(response)
        except urllib.error.HTTPError as error:
            return _answer(error)

    def settings(self, endpoints: list[dict[str, Any]]) -> dict[str, Any]:
        """Configuration of the stack with these endpoints."""
        return demo.settings(self.cluster, self.cluster.host, endpoints)

    @property
    def endpoint(self) -> dict[str, Any]:
        """The demo's own endpoint, as the stack's configuration names it."""
        return demo.endpoint(self.cluster, self.model.model_uri)

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Output of `kubectl` with full rights; fails the test with kubectl's own words."""
        done = run(
            str(builder.kubernetes(quiet()) / "kubectl"), "--kubeconfig", self.description["kubeconfig"], *arguments,
            text=text,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def conditions(self, endpoint: str) -> dict[str, dict[str, Any]]:
        """The conditions of an endpoint's object by their type."""
        text = self.kubectl("-n", names.endpoint_namespace(endpoint), "get", "modelendpoint", endpoint, "-o", "json")
        return {condition["type"]: condition for condition in json.loads(text)["status"]["conditions"]}


def _answer(response: Any) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(status=response.status, headers=headers, body=response.read())


def run(*command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """A finished process, its output as text."""
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=300)


def quiet() -> Progress:
    """Progress that pytest captures."""
    return Progress("test", steps=1)


def eventually(seen: Callable[[], T], *, seconds: float = 60.0) -> T:
    """`patience.eventually`, asked twice a second: a look may be a process, and `kubectl` takes 0.15 s of CPU."""
    return patience.eventually(seen, seconds=seconds, every_seconds=0.5)


def assert_nothing_is_left_of(platform: Platform, endpoint: str) -> None:
    """No namespace, pod or other object of a deleted endpoint: now, and not in a while."""
    spaces = platform.kubectl("get", "namespaces", "-o", "jsonpath={.items[*].metadata.name}").split()
    assert names.endpoint_namespace(endpoint) not in spaces
    kinds = (
        "pods,replicasets,deployments,services,endpointslices,poddisruptionbudgets,networkpolicies,serviceaccounts,"
        "rolebindings,clusterroles,clusterrolebindings,modelendpoints,autopilotpodautoscalers"
    )
    assert platform.kubectl("get", kinds, "-A", "-l", f"{names.ENDPOINT_LABEL}={endpoint}", "-o", "name") == ""
    assert platform.ask({}, path=names.invocations_path(endpoint)).status == 404


def assert_machine_is_clean(root: Path) -> None:
    """No process, mount, namespace, interface, nft table or file of an embedded cluster is left."""
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in commands if str(root).encode() in command]
    assert str(root) not in Path("/proc/self/mountinfo").read_text()
    assert not list(Path("/run/netns").glob("cni-*"))
    assert not Path("/sys/class/net", cluster_layout.BRIDGE).exists()
    tables = run("/usr/sbin/nft", "list", "tables").stdout
    assert "kube-proxy" not in tables
    assert "headrace" not in tables
    assert "KUBE-" not in run("/usr/sbin/nft", "list", "ruleset").stdout
    assert not [path for path in Path("/sys/fs/cgroup").glob("**/kubepods")]
    assert not root.exists()
    assert not [path for path in Path("/var/log/containers").glob("*") if path.is_symlink() and not path.exists()]
    assert cluster.status().running == ()
