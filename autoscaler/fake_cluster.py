"""FakeCluster: the Cluster port in memory, for tests and for trying the controller without Kubernetes.

It keeps what a real server would refuse: a write to a missing object, a stale lease, anything while it is `down`.
Reads go on while it is down, as watched copies do. Pods are not run; `settle` makes them follow the Deployment.
"""

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from headrace.autoscaler.fleet import Deployment, Pod, read_deployment, read_pod
from headrace.contract import names
from headrace.kube.api_server import Key, Missing, Object
from headrace.kube.fake_leases import FakeLeases


class FakeCluster(FakeLeases):
    """Kubernetes as far as the autoscaler sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[Key, Object] = {}
        self.deployments: dict[Key, Object] = {}
        self.version_pods: dict[Key, list[Object]] = {}
        self.namespace_rivals: dict[str, list[Object]] = {}
        self.balancer_pods: list[Object] = []
        self.activator_pods: list[Object] = []
        self.events: list[Object] = []
        self.scalings: list[tuple[str, str, int]] = []
        self._pod_numbers = itertools.count(1)

    # --- Arranging the world -------------------------------------------------------------------------------------
    def add_version(self, namespace: str, name: str, *, spec: Mapping[str, Any], replicas: int = 1) -> None:
        """An autoscaler object, its Deployment and that many ready pods."""
        self.objects[namespace, name] = {
            "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
            "kind": names.APA_KIND,
            "metadata": {
                "namespace": namespace,
                "name": name,
                "uid": f"uid-{namespace}-{name}",
                "generation": 1,
                "creationTimestamp": f"2026-01-01T00:00:{len(self.objects):02d}Z",
            },
            "spec": dict(spec),
        }
        self.add_deployment(namespace, name, replicas=replicas)

    def add_deployment(self, namespace: str, name: str, *, replicas: int) -> None:
        template = {"spec": {"containers": [{"name": "front", "resources": {"limits": {"cpu": "2"}}}]}}
        self.deployments[namespace, name] = {
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"replicas": replicas, "template": template},
        }
        self.settle(namespace, name)

    def settle(self, namespace: str, name: str, *, created: str = "2026-01-01T00:00:00Z", ready: str = "") -> None:
        """Makes the pods what the Deployment asks for, all ready."""
        wanted = self.deployments[namespace, name]["spec"]["replicas"]
        pods = self.version_pods.setdefault((namespace, name), [])
        del pods[wanted:]
        while len(pods) < wanted:
            number = next(self._pod_numbers)
            pods.append(self.pod(f"{name}-{number}", address=f"10.0.0.{number}", created=created, ready=ready))

    def pod(
        self, name: str, *, address: str = "", created: str = "2026-01-01T00:00:00Z", ready: str = "", state: str = ""
    ) -> Object:
        """A pod: ready unless `state` is starting, unschedulable or failing."""
        conditions = [{"type": "PodScheduled", "status": "False" if state == "unschedulable" else "True"}]
        if state == "unschedulable":
            conditions[0]["reason"] = "Unschedulable"
        moment = ready or "2026-01-01T00:00:10Z"
        conditions.append({"type": "Ready", "status": "False" if state else "True", "lastTransitionTime": moment})
        waiting = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}} if state == "failing" else {"state": {}}
        return {
            "metadata": {"name": name, "uid": name, "creationTimestamp": created},
            "status": {"podIP": address, "conditions": conditions, "containerStatuses": [waiting]},
        }

    # --- The port ------------------------------------------------------------------------------------------------
    def autoscalers(self) -> list[Object]:
        return [copy.deepcopy(item) for item in self.objects.values()]

    def deployment(self, namespace: str, name: str) -> Deployment | None:
        found = self.deployments.get((namespace, name))
        return read_deployment(found) if found is not None else None

    def pods(self, namespace: str, version: str) -> list[Pod]:
        return [read_pod(item) for item in self.version_pods.get((namespace, version), ())]

    def rivals(self, namespace: str) -> list[Object]:
        return list(self.namespace_rivals.get(namespace, ()))

    def balancers(self) -> list[Pod]:
        return [read_pod(item) for item in self.balancer_pods]

    def activators(self) -> list[Pod]:
        return [read_pod(item) for item in self.activator_pods]

    def scale(self, namespace: str, name: str, replicas: int) -> None:
        self.up()
        self._found(self.deployments, (namespace, name))["spec"]["replicas"] = replicas
        self.scalings.append((namespace, name, replicas))

    def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        self.up()
        item = self._found(self.objects, (namespace, name))
        item.setdefault("status", {}).update(copy.deepcopy(dict(status)))

    def record_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        self.up()
        self.events.append(dict(event))

    def _found(self, where: dict[Key, Object], key: Key) -> Object:
        if key not in where:
            raise Missing(f"{key[0]}/{key[1]} not found")
        return where[key]
