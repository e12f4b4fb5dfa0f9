"""The embedded cluster with the platform on it, and the one endpoint that a case is about."""

import json
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import kubernetes

from bench.product import models
from headrace.contract import names
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import ApiServer
from headrace.local import demo, demo_model, target_cluster, tracking_server
from headrace.local.pulumi_stack import PulumiStack
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder

VERSION: Final = "v1"
"""Of every endpoint: each serves the first version of its model."""
PREFIX: Final = "bench-"
GROUP: Final = f"/apis/{names.API_GROUP}/{names.API_VERSION}"
_PATIENCE_SECONDS: Final = 150.0


class Stage:
    """A running platform; `endpoint` puts a case's endpoint on it in place of the one before."""

    def __init__(self) -> None:
        progress = Progress("bench-product", steps=1)
        self.found = demo.description_file().exists()
        """Whether the platform ran already; it is then left running."""
        self.description: dict[str, Any] = demo.run()
        self.place = target_cluster.ensure(progress)
        self.programs = builder.kubernetes(progress)
        self._stack = PulumiStack(programs=builder.deployer(progress))
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(self.description["kubeconfig"], client_configuration=configuration)
        self.server = ApiServer("bench-product", configuration)
        self._demo = {"name": demo_model.NAME, "model_uri": demo_model.ensure(tracking_server.uri()).model_uri}
        """The demo's own endpoint, which stays: there are always others."""
        self.uris: dict[str, str] = {}
        address = urllib.parse.urlsplit(self.description["url"])
        self.host, self.port = str(address.hostname), 443 if address.port is None else address.port

    def register(self, wanted: list[str]) -> None:
        """Trains and registers models that the registry lacks."""
        self.uris |= models.ensure(tracking_server.uri(), wanted, like=self._demo["model_uri"])

    def endpoint(self, case: str, model: str) -> "Endpoint":
        """An endpoint of its own for a case, declared by nothing but name, platform and model; the one before is gone.

        New for each case, so that nothing learned before is known.
        """
        name = PREFIX + case
        self._up([self._demo, {"name": name, "model_uri": self.uris[model]}])
        return Endpoint(self, name, model)

    def empty(self) -> None:
        """No endpoint but the demo's."""
        self._up([self._demo])

    def leave(self) -> None:
        """As it was before: the demo runs with its endpoint, or nothing runs."""
        if self.found:
            self.empty()
        else:
            demo.down()

    def _up(self, endpoints: list[dict[str, Any]]) -> None:
        self._stack.up(demo.settings(self.place, self.place.host, endpoints))

    def image(self) -> str:
        """The image of the demo's model: base and interpreter of every image."""
        space = names.endpoint_namespace(demo_model.NAME)
        found = self.server.get(f"/apis/apps/v1/namespaces/{space}/deployments/{VERSION}")
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def room(self, *, cpu: float, memory_mib: float, beside: str) -> int:
        """How many pods of that request fit on the node, were there none in the namespace `beside`."""
        free_cpu = free_memory = 0.0
        for node in self.server.get("/api/v1/nodes")["items"]:
            free_cpu += cores(node["status"]["allocatable"]["cpu"])
            free_memory += mebibytes(node["status"]["allocatable"]["memory"])
        for pod in self.server.get("/api/v1/pods")["items"]:
            ended = pod["status"].get("phase") in ("Succeeded", "Failed")
            if ended or not pod["spec"].get("nodeName") or pod["metadata"]["namespace"] == beside:
                continue
            for container in pod["spec"]["containers"]:
                wanted = container.get("resources", {}).get("requests", {})
                free_cpu -= cores(wanted.get("cpu", "0"))
                free_memory -= mebibytes(wanted.get("memory", "0"))
        return max(0, int(min(free_cpu / cpu + 1e-9, free_memory / memory_mib)))


class Endpoint:
    """The endpoint under load."""

    def __init__(self, stage: Stage, name: str, model: str) -> None:
        self.stage, self.name, self.model = stage, name, model
        self.space = names.endpoint_namespace(name)
        self._apa = f"{GROUP}/namespaces/{self.space}/{names.APA_PLURAL}/{VERSION}"
        self._server = stage.server
        self._declared: dict[str, Any] | None = None
        """Its bounds before they were fixed; None deletes a field."""

    @property
    def status(self) -> dict[str, Any]:
        """Of the AutopilotPodAutoscaler."""
        found: dict[str, Any] = self._server.get(self._apa).get("status", {})
        return found

    def deployment(self) -> dict[str, Any]:
        """The version's Deployment."""
        return self._server.get(f"/apis/apps/v1/namespaces/{self.space}/deployments/{VERSION}")

    def pods(self) -> list[dict[str, Any]]:
        """All pods of the endpoint, those that leave too."""
        found: list[dict[str, Any]] = self._server.get(f"/api/v1/namespaces/{self.space}/pods")["items"]
        return found

    def room(self) -> int:
        """How many of its pods fit on the node."""
        wanted = self.deployment()["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
        cpu, memory = cores(wanted["cpu"]), mebibytes(wanted["memory"])
        return self.stage.room(cpu=cpu, memory_mib=memory, beside=self.space)

    def settled(self) -> None:
        """Waits for one pod that is ready, none that leaves, and an autoscaler that sees the endpoint's load."""

        def so() -> bool:
            conditions = {each["type"]: each["status"] for each in self.status.get("conditions", ())}
            trusted = conditions.get("SignalsTrusted") == "True"
            return trusted and len(self.pods()) == 1 and self.deployment()["status"].get("readyReplicas") == 1

        waited(so, lambda: f"{self.name} did not settle at one pod: {self.status}")

    def fixed(self, pods: int, limit: int) -> None:
        """Holds the autoscaler to a number of pods and a limit, by its object's bounds, and waits until both are so.

        A user can fix the pods by the input `scale`; the limit has no input, only the object's bounds.
        """
        spec = {"minReplicas": pods, "maxReplicas": pods, "concurrency": {"min": limit, "max": limit}}
        if self._declared is None:
            declared = self._server.get(self._apa)["spec"]
            self._declared = {field: declared.get(field) for field in spec}
        self._server.merge(self._apa, {"spec": spec})

        def so() -> bool:
            ready = self.deployment()["status"].get("readyReplicas", 0)
            return ready == pods and len(self.pods()) == pods and self.status.get("concurrency") == limit

        waited(so, lambda: f"{self.name} is not at {pods} pods with limit {limit}: {self.status}")

    def freed(self) -> None:
        """Gives the autoscaler its own bounds again, at one pod."""
        if self._declared is not None:
            self.fixed(1, int(self.status["concurrency"]))
            self._server.merge(self._apa, {"spec": self._declared})
            self.settled()


def waited(holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Asks twice a second until it is so; TemporaryError after some minutes."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TemporaryError(otherwise())
        time.sleep(0.5)


def cores(text: str) -> float:
    """A quantity of CPU, in cores."""
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


def mebibytes(text: str) -> float:
    """A quantity of memory, in MiB."""
    units = {"Ki": 1 / 1024, "Mi": 1.0, "Gi": 1024.0}
    for unit, factor in units.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text) / 2**20


def keep(path: Path, value: Any) -> None:
    """Writes JSON."""
    path.write_text(json.dumps(value, indent=1) + "\n")
