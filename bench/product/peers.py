"""The peers in the same cluster: Deployment, Service and HorizontalPodAutoscaler, each one model server on one model.

What a pod holds: the base of our own images, the peer's environment and the model from this machine's disk, read-only.
A pod has the limit of ours, one core, and asks for the same share of it, so that as many fit. The autoscaler is
Kubernetes' own, at 80 % of that core, with metrics-server. The load goes to the Service's address: nothing encrypts,
asks for a token or routes on the way, which is in the peers' favour, and the client opens a new connection after some
requests, without which pods that come later would get none.
"""

import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.product import models
from bench.product.stage import waited
from bench.runtime import environments, systems
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import ApiServer

SPACE: Final = "bench-peers"
PORT: Final = 8080
REQUESTS_A_CONNECTION: Final = 200
HPA_SHARE: Final = 0.8
"""Of the core that a pod may use."""
MOST_PODS: Final = 100
"""As many as ours may have by default."""
RESOURCES: Final = {"requests": {"cpu": "250m", "memory": "768Mi"}, "limits": {"cpu": "1000m", "memory": "2Gi"}}
SETTINGS: Final = {
    "mlflow": "mlflow models serve --workers 1",
    "mlserver": "sklearn runtime, max_batch_size=64, max_batch_time=0.002, parallel_workers=1",
    "bentoml": "workers=1, threads=64, batchable (adaptive)",
}
"""Each for pods of one core."""
_READY: Final = {"mlflow": "/ping", "mlserver": "/v2/health/ready", "bentoml": "/readyz"}
_COMPILED: Final = ".compiled"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One model server on one model."""

    system: str
    model: str
    server: ApiServer

    @property
    def name(self) -> str:
        return f"{self.system}-{self.model}"

    @property
    def status(self) -> dict[str, Any]:
        """Nothing: there is no autoscaler of ours."""
        return {}

    def deployment(self) -> dict[str, Any]:
        return self.server.get(f"/apis/apps/v1/namespaces/{SPACE}/deployments/{self.name}")

    def pods(self) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{SPACE}/pods?labelSelector=app%3D{self.name}"
        found: list[dict[str, Any]] = self.server.get(path)["items"]
        return found

    def address(self) -> str:
        """Of its Service."""
        return str(self.server.get(f"/api/v1/namespaces/{SPACE}/services/{self.name}")["spec"]["clusterIP"])

    @property
    def path(self) -> str:
        return {"mlflow": "/invocations", "mlserver": "/v2/models/model/infer", "bentoml": "/predict"}[self.system]

    @property
    def body(self) -> bytes:
        """One row, in the form that it serves best."""
        if self.system == "mlflow":
            return json.dumps(models.document(self.model)).encode()
        rows: list[Any] = [list(models.ROW)] if self.model in models.TABULAR else [systems.IMAGE]
        if self.system == "bentoml":
            return json.dumps({"rows": rows}).encode()
        tensor = {"name": "rows", "shape": [1, len(models.ROW)], "datatype": "FP64", "data": rows[0]}
        return json.dumps({"inputs": [tensor]}).encode()

    def answers(self) -> bool:
        """Whether its Service answers the request of the load, which a pod that is Ready does not promise."""
        connection = http.client.HTTPConnection(self.address(), PORT, timeout=10)
        try:
            connection.request("POST", self.path, self.body, {"Content-Type": "application/json"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def objects(self, image: str, folder: Path) -> list[dict[str, Any]]:
        """Deployment, Service and HorizontalPodAutoscaler."""
        labels = {"app": self.name}
        metadata = {"name": self.name, "namespace": SPACE}
        target = {"type": "AverageValue", "averageValue": f"{round(HPA_SHARE * 1000)}m"}
        return [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": self._pod(image, folder)},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": labels, "ports": [{"port": PORT, "targetPort": PORT}]},
            },
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": metadata,
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name},
                    "minReplicas": 1,
                    "maxReplicas": MOST_PODS,
                    "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
                },
            },
        ]

    def _pod(self, image: str, folder: Path) -> dict[str, Any]:
        python = environments.interpreter("mlserver" if self.system == "mlserver" else models.environment(self.model))
        home = python.parents[1]
        mounted = [home, models.folder(), systems.PEERS, folder]
        if sys.base_prefix != "/usr":  # there it is the image's own
            mounted.append(Path(sys.base_prefix))
        variables = {
            "HOME": "/tmp",
            "PATH": f"{python.parent}:/usr/bin:/bin",
            "PYTHONPATH": "",  # the image's own names our libraries, which would hide the peer's
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
            "PYTHONDONTWRITEBYTECODE": "1",
            "BENCH_MODEL": str(models.folder() / self.model),
            "BENCH_COLUMNS": json.dumps(list(models.COLUMNS) if self.model in models.TABULAR else []),
            "BENCH_BATCHED": "1",
            "BENCH_WORKERS": "1",
        }
        command, directory = self._command(python, folder)
        container = {
            "name": "peer",
            "image": image,
            "imagePullPolicy": "Never",
            "command": command,
            "workingDir": str(directory),
            "env": [{"name": name, "value": value} for name, value in variables.items()],
            "resources": RESOURCES,
            "securityContext": {"runAsUser": 0},
            "readinessProbe": {
                "httpGet": {"path": _READY[self.system], "port": PORT},
                "periodSeconds": 1,
                "timeoutSeconds": 5,
                "failureThreshold": 10,
            },
            "volumeMounts": [
                *({"name": f"host-{at}", "mountPath": str(path), "readOnly": True} for at, path in enumerate(mounted)),
                {"name": "scratch", "mountPath": "/tmp"},
                {"name": "memory", "mountPath": "/dev/shm"},
            ],
        }
        return {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 5,
            "containers": [container],
            "volumes": [
                *({"name": f"host-{at}", "hostPath": {"path": str(path)}} for at, path in enumerate(mounted)),
                {"name": "scratch", "emptyDir": {}},
                {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
            ],
        }

    def _command(self, python: Path, folder: Path) -> tuple[list[str], Path]:
        if self.system == "mlflow":
            serve = ["-m", "mlflow", "models", "serve", "-m", str(models.folder() / self.model), "-h", "0.0.0.0"]
            return [str(python), *serve, "-p", str(PORT), "--env-manager", "local", "--workers", "1"], Path("/tmp")
        if self.system == "bentoml":
            serve = ["-m", "bentoml", "serve", "bento_service:Model", "-p", str(PORT), "--host", "0.0.0.0"]
            return [str(python), *serve], systems.PEERS
        return [str(python.with_name("mlserver")), "start", "."], mlserver_folder(folder, self.model)


def mlserver_folder(folder: Path, model: str) -> Path:
    """MLServer's settings for a model, in a folder of their own."""
    directory = folder / f"mlserver-{model}"
    directory.mkdir(parents=True, exist_ok=True)
    server = {"host": "0.0.0.0", "http_port": PORT, "grpc_port": PORT + 1, "metrics_port": PORT + 2}
    written = {"metrics_dir": "/tmp/metrics", "environments_dir": "/tmp/environments"}
    (directory / "settings.json").write_text(json.dumps({**server, **written, "parallel_workers": 1, "debug": False}))
    described = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "max_batch_size": 64,
        "max_batch_time": 0.002,
        "parameters": {"uri": str(models.folder() / f"{model}.joblib")},
    }
    (directory / "model-settings.json").write_text(json.dumps(described))
    return directory


def _wait_for(peer: Peer) -> None:
    waited(
        lambda: peer.deployment()["status"].get("readyReplicas", 0) >= 1 and peer.answers(),
        lambda: f"{peer.name} does not answer",
    )


class Arena:
    """The namespace of the peers."""

    def __init__(self, server: ApiServer, kubectl: Sequence[str], image: str, folder: Path) -> None:
        self._server, self._kubectl_command, self._image, self._folder = server, kubectl, image, folder

    def __enter__(self) -> "Arena":
        self._kubectl("apply", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        return self

    def __exit__(self, *_: object) -> None:
        self._run("delete", "namespace", SPACE, "--ignore-not-found", "--timeout=90s")

    def up(self, wanted: Sequence[Peer]) -> list[Peer]:
        """Starts them and waits until each answers; returns those that do."""
        for peer in wanted:
            compiled(environments.interpreter("mlserver" if peer.system == "mlserver" else "peers"))
            for each in peer.objects(self._image, self._folder):
                self._kubectl("apply", each)
        running = []
        for peer in wanted:
            try:
                _wait_for(peer)
                running.append(peer)
            except TemporaryError as error:
                print(f"bench-product: {error}: {self._run('-n', SPACE, 'logs', f'deploy/{peer.name}', '--tail=20')}")
        return running

    def down(self, peers: Sequence[Peer]) -> None:
        """Removes them and waits until their pods are gone."""
        for peer in peers:
            for kind in ("hpa", "service", "deployment"):
                self._run("-n", SPACE, "delete", kind, peer.name, "--ignore-not-found", "--wait=false")
        path = f"/api/v1/namespaces/{SPACE}/pods"
        waited(lambda: not self._server.get(path)["items"], lambda: f"pods in {SPACE} do not go")

    def _kubectl(self, verb: str, thing: dict[str, Any]) -> None:
        said = self._run(verb, "-f", "-", text=json.dumps(thing), must=True)
        del said

    def _run(self, *arguments: str, text: str | None = None, must: bool = False) -> str:
        done = subprocess.run(
            [*self._kubectl_command, *arguments], input=text, capture_output=True, text=True, check=False, timeout=120
        )
        if must and done.returncode != 0:
            raise TemporaryError(f"`kubectl {' '.join(arguments)}` failed: {done.stderr.strip()}")
        return done.stdout + done.stderr


def compiled(python: Path) -> None:
    """The environment's bytecode, once: a pod cannot write it, and would compile at every start."""
    mark = python.parents[1] / _COMPILED
    if not mark.exists():
        libraries = next((python.parents[1] / "lib").glob("python*/site-packages"))
        command = [str(python), "-m", "compileall", "-q", "-j", "2", str(libraries)]
        subprocess.run(command, check=False, capture_output=True)
        mark.touch()


def clean(folder: Path) -> None:
    """Removes what was written for MLServer."""
    shutil.rmtree(folder, ignore_errors=True)
