"""What a model needs around it: a secret of the deployer's, and one server that it may call."""

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml
from live_platform import Platform, eventually

from headrace.contract.errors import HeadraceError
from headrace.local import cluster_layout, tracking_server
from headrace.local.paths import state_directory

TOKEN = "sk-needs-1f4c0e7b92d85a36"
NAMESPACE = "endpoint-caller"
PROJECT = state_directory() / "pulumi" / "project"
LOG_CALLER = """
import os, sys, urllib.error, urllib.request
import mlflow, pandas
from mlflow.models import infer_signature

class Caller(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        def answer(address):
            asked = urllib.request.Request(address, headers={"Authorization": "Bearer " + os.environ["TOKEN"]})
            try:
                return urllib.request.urlopen(asked, timeout=3).read().decode()
            except OSError:
                return "closed"
        return [answer(address) for address in model_input["address"]]

mlflow.set_experiment("headrace-tests")
with mlflow.start_run():
    mlflow.pyfunc.log_model(
        name="model", python_model=Caller(), registered_model_name="caller",
        signature=infer_signature(pandas.DataFrame({"address": ["http://x"]}), ["closed"]),
        pip_requirements=mlflow.pyfunc.get_model_dependencies(sys.argv[1]),  # an environment that is built already
    )
found = mlflow.MlflowClient().search_model_versions("name='caller'")
print("version", max(int(version.version) for version in found))
"""


@dataclass
class Server:
    """Answers `hello` on a port of the machine, as long as the test runs."""

    seen: list[str] = field(default_factory=list)
    """Authorization headers."""

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append(self.headers["Authorization"])
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"hello")

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer((cluster_layout.NODE_ADDRESS, 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.http.server_port

    @property
    def address(self) -> str:
        return f"http://{cluster_layout.NODE_ADDRESS}:{self.port}/"


@pytest.fixture
def servers(platform: Platform) -> Iterator[tuple[Server, Server]]:
    """One that the model may call and one that it may not, on the same address."""
    if not platform.cluster.embedded:
        pytest.skip("pods of another cluster do not reach this machine")
    found = Server(), Server()
    yield found
    for server in found:
        server.http.shutdown()
        server.http.server_close()


@pytest.fixture
def model_uri(platform: Platform) -> str:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    command = [sys.executable, "-c", LOG_CALLER, platform.model.model_uri]
    logged = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return f"models:/caller/{logged.stdout.split()[-1]}"


def pulumi(platform: Platform, *arguments: str) -> str:
    """Output of a command of the platform's own stack."""
    stack = platform.stack
    done = subprocess.run(
        [str(stack.programs / "pulumi"), *arguments, "--stack", stack.stack, "--non-interactive"],
        cwd=PROJECT, env=stack.environment(), capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout


def encrypted(platform: Platform, value: str) -> dict[str, str]:
    """The value as `pulumi config set --secret` writes it into the stack's settings."""
    pulumi(platform, "config", "set", "--secret", "headrace:needs", value)
    settings = yaml.safe_load((PROJECT / "stacks" / f"Pulumi.{platform.stack.stack}.yaml").read_text())
    found: dict[str, str] = settings["config"]["headrace:needs"]
    return found


def test_a_model_reads_a_secret_and_calls_what_it_may_and_nothing_else(
    platform: Platform, servers: tuple[Server, Server], model_uri: str
) -> None:
    open_server, closed_server = servers
    caller: dict[str, Any] = {
        "name": "caller",
        "model_uri": model_uri,
        "environment": {"TOKEN": encrypted(platform, TOKEN)},
        "egress": [{"cidr": f"{cluster_layout.NODE_ADDRESS}/32", "ports": [open_server.port]}],
        "start_seconds": 15,
    }
    asked = {"dataframe_records": [{"address": open_server.address}, {"address": closed_server.address}]}
    shown = platform.stack.up(platform.settings([platform.endpoint, caller]))

    path = "/serving-endpoints/caller/invocations"
    expected = {"predictions": ["hello", "closed"]}
    assert eventually(lambda: platform.ask(asked, path=path).json == expected)
    assert set(open_server.seen) == {f"Bearer {TOKEN}"}
    assert closed_server.seen == []
    state = pulumi(platform, "stack", "export")
    pods = platform.kubectl("-n", NAMESPACE, "get", "deployments,pods,replicasets,modelendpoints", "-o", "json")
    assert "caller-environment" in state
    for form in (TOKEN, base64.b64encode(TOKEN.encode()).decode()):
        assert form not in shown + state + pods

    absent = {**caller, "environment": {"TOKEN": {"secret": "absent", "key": "token"}}}
    with pytest.raises(HeadraceError) as caught:
        platform.stack.up(platform.settings([platform.endpoint, absent]))

    assert 'secret "absent" not found' in str(caught.value)
    told = platform.conditions("caller")
    rolled_out = told["RolledOut"]
    assert told["Ready"]["status"] == "True"
    assert (rolled_out["status"], rolled_out["reason"]) == ("False", "CreateContainerConfigError")
    assert 'secret "absent" not found; make it in the endpoint\'s namespace' in rolled_out["message"]
    assert platform.ask(asked, path=path).json == expected

    platform.kubectl("-n", NAMESPACE, "create", "secret", "generic", "absent", "--from-literal=other=x")
    # The kubelet tries a pod again after a while; an update before that is told the former cause.
    eventually(lambda: "find key token" in platform.kubectl("-n", NAMESPACE, "get", "pods", "-o", "json"))
    # Another key, so that there is another pod: what Pulumi tells of one that stays as it was is not sure.
    without_key = {**caller, "environment": {"TOKEN": {"secret": "absent", "key": "password"}}}
    with pytest.raises(HeadraceError) as caught:
        platform.stack.up(platform.settings([platform.endpoint, without_key]))

    assert "couldn't find key password in Secret endpoint-caller/absent" in str(caught.value)
    assert "couldn't find key password" in platform.conditions("caller")["RolledOut"]["message"]
    assert platform.ask(asked, path=path).json == expected
