"""Large weights reach the model without being a layer: copied once a node, checked, and shared by its pods."""

import hashlib
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from live_platform import Platform, eventually

from headrace.contract import names
from headrace.contract.errors import HeadraceError
from headrace.local import cluster_layout, tracking_server

NAMESPACE = "endpoint-heavy"
PATH = "/serving-endpoints/heavy/invocations"
SIZE = 8 * 1024 * 1024
LOG_HEAVY = """
import hashlib, os, sys, tempfile
import mlflow, pandas
from mlflow.models import infer_signature

class Heavy(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["weights"], "rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()

    def predict(self, context, model_input, params=None):
        return [self.digest for _ in range(len(model_input))]

mlflow.set_experiment("headrace-tests")
for _ in range(3):
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run():
        weights = os.path.join(folder, "weights.bin")
        content = os.urandom(8 * 1024 * 1024)
        open(weights, "wb").write(content)
        found = mlflow.pyfunc.log_model(
            name="model", python_model=Heavy(), artifacts={"weights": weights}, registered_model_name="heavy",
            signature=infer_signature(pandas.DataFrame({"row": [1]}), ["digest"]),
            pip_requirements=mlflow.pyfunc.get_model_dependencies(sys.argv[1]),  # an environment that is built already
        )
        print("version", found.registered_model_version, hashlib.sha256(content).hexdigest())
"""


@dataclass
class Relay:
    """The tracking server at an address that pods reach; counts the bytes of files."""

    sent: int = 0
    spoils: bool = False
    """Whether a byte of every answer is another one."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # the name is the library's
                asked = {name: self.headers[name] for name in ("Range",) if name in self.headers}
                request = urllib.request.Request(tracking_server.uri() + self.path, headers=asked)
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        status, headers, body = answer.status, answer.headers, bytearray(answer.read())
                except urllib.error.HTTPError as error:
                    status, headers, body = error.code, error.headers, bytearray(error.read())
                if outer.spoils and body:
                    body[-1] ^= 1
                with outer.lock:
                    outer.sent += len(body)
                self.send_response(status)
                for name in ("Content-Range", "ETag", "Last-Modified"):
                    if headers[name]:
                        self.send_header(name, headers[name])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer((cluster_layout.NODE_ADDRESS, 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://{cluster_layout.NODE_ADDRESS}:{self.http.server_port}"


@pytest.fixture
def relay(platform: Platform) -> Iterator[Relay]:
    if not platform.cluster.embedded:
        pytest.skip("pods of another cluster do not reach this machine")
    found = Relay()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def node_path() -> Iterator[Path]:
    """A directory of the node, as its administrator makes it."""
    with TemporaryDirectory(prefix="headrace-weights-") as folder:
        yield Path(folder)


@pytest.fixture
def versions(platform: Platform) -> list[tuple[str, str]]:
    """Model URIs of three versions, with the digest of the weights of each."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_server.uri(), "GIT_PYTHON_REFRESH": "quiet"}
    command = [sys.executable, "-c", LOG_HEAVY, platform.model.model_uri]
    logged = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    told = [line.split()[1:] for line in logged.stdout.splitlines() if line.startswith("version ")]
    return [(f"models:/heavy/{version}", digest) for version, digest in told]


def copied(platform: Platform) -> list[str]:
    """What each pod's init container said at its end."""
    pods = platform.kubectl("-n", NAMESPACE, "get", "pods", "-o", "name").split()
    logs = [platform.kubectl("-n", NAMESPACE, "logs", pod, "-c", "weights") for pod in pods]
    return sorted(line for log in logs for line in log.splitlines() if "the weights are here" in line)


def heavy(uri: str, relay: Relay, node_path: Path, **changed: Any) -> dict[str, Any]:
    """Settings of an endpoint whose weights are no layer, and are kept on the node."""
    weights = {"above_mib": 1, "tracking_uri": relay.address, "cache": {"node_path": str(node_path)}}
    return {"name": "heavy", "model_uri": uri, "weights": weights, "start_seconds": 30, **changed}


def serves(platform: Platform, expected: str) -> bool:
    return bool(platform.ask({"dataframe_records": [{"row": 1}]}, path=PATH).json == {"predictions": [expected]})


def test_pods_of_a_node_share_weights_that_were_copied_once(
    platform: Platform, relay: Relay, node_path: Path, versions: list[tuple[str, str]]
) -> None:
    uri, digest = versions[0]
    try:
        two = heavy(uri, relay, node_path, scale={"min_replicas": 2, "max_replicas": 2})
        platform.stack.up(platform.settings([platform.endpoint, two]))
        assert eventually(lambda: serves(platform, digest))
        eventually(lambda: len(copied(platform)) == 2)

        assert sum("0.0 MB were read" in line and "8.4 MB were on the node" in line for line in copied(platform)) == 1
        assert relay.sent == SIZE
        (kept,) = [path for path in (node_path / NAMESPACE).iterdir() if not path.suffix]
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == digest
    finally:
        platform.stack.up(platform.settings([platform.endpoint]))


@pytest.mark.long  # two updates fail, each after what a pod may take to start
def test_weights_are_copied_once_and_checked_and_what_goes_wrong_leaves_the_old_version_serving(
    platform: Platform, relay: Relay, node_path: Path, versions: list[tuple[str, str]]
) -> None:
    (first, digest), (second, second_digest), (third, _) = versions
    given = heavy(first, relay, node_path)
    small = {**given["weights"], "cache": {**given["weights"]["cache"], "mib": 10}}

    def up(**changed: Any) -> str:
        return platform.stack.up(platform.settings([platform.endpoint, {**given, **changed}]))

    def refused(**changed: Any) -> str:
        with pytest.raises(HeadraceError):
            up(**changed)
        return " ".join(condition["message"] for condition in platform.conditions("heavy").values())

    try:
        up()
        assert eventually(lambda: serves(platform, digest))
        assert relay.sent == SIZE
        (kept,) = [path for path in (node_path / NAMESPACE).iterdir() if not path.suffix]
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == digest

        up(scale={"min_replicas": 2, "max_replicas": 2})
        eventually(lambda: len(copied(platform)) == 2)
        assert sum("0.0 MB were read" in line and "8.4 MB were on the node" in line for line in copied(platform)) == 1
        assert relay.sent == SIZE

        relay.spoils = True
        assert "The weights artifacts/weights.bin changed since the image was built" in refused(model_uri=second)
        assert serves(platform, digest)
        relay.spoils = False

        said = refused(model_uri=third, weights=small)
        room = r"\(of at most 10\.5 MB, as weights\.cache says\) has room for [\d.]+ MB: [\d.]+ MB are of models that"
        assert re.search(room, said), said  # the refused version's pod may have copied its own by now
        assert serves(platform, digest)

        up(model_uri=second)
        assert eventually(lambda: serves(platform, second_digest))
    finally:
        platform.stack.up(platform.settings([platform.endpoint]))
    claimed = platform.kubectl("get", "persistentvolumes", "-o", "jsonpath={.items[*].spec.claimRef.namespace}")
    assert set(claimed.split()) <= {names.SYSTEM_NAMESPACE}, "only the tables of the platform are left"
