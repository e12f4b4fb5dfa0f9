"""FakeCluster: the Cluster port in memory, for tests and for trying the controller without Kubernetes.

Statuses are merged as the API server merges them. Reads go on while it is `down`, as watched copies do.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.contract import names
from headrace.kube.api_server import Key, Missing, Object
from headrace.kube.fake_leases import FakeLeases
from headrace.routing.snapshot.endpoint_health import SERVICE_LABEL


class FakeCluster(FakeLeases):
    """Kubernetes as far as the rollout controller sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[Key, Object] = {}
        self.ready: dict[tuple[str, str], int] = {}
        """Ready pods by endpoint and version."""
        self.writes = 0

    def add_endpoint(self, name: str, version: str, **rollout: Any) -> Object:
        """An endpoint that names this version; its status stays."""
        key = names.endpoint_namespace(name), name
        before = self.objects.get(key, {"metadata": {"namespace": key[0], "name": name, "annotations": {}}})
        spec = {"versions": [{"name": version, "modelUri": "m", "image": "i"}], "rollout": rollout}
        self.objects[key] = {**before, "spec": spec}
        return self.objects[key]

    def rollout(self, name: str) -> dict[str, Any]:
        """What the endpoint's status says of its rollout."""
        told: dict[str, Any] = self.objects[names.endpoint_namespace(name), name]["status"]["rollout"]
        return told

    def endpoints(self) -> list[Object]:
        return copy.deepcopy(list(self.objects.values()))

    def slices(self) -> Sequence[Object]:
        return [
            {
                "metadata": {
                    "namespace": names.endpoint_namespace(endpoint),
                    "creationTimestamp": f"2026-01-01T00:00:{position:02d}Z",
                    "labels": {names.ENDPOINT_LABEL: endpoint, names.VERSION_LABEL: version},
                },
                "endpoints": [{"addresses": [f"10.0.{position}.{pod}"]} for pod in range(count)],
            }
            for position, ((endpoint, version), count) in enumerate(self.ready.items())
        ]

    def balancer_slices(self) -> Sequence[Object]:
        labels = {SERVICE_LABEL: names.LOAD_BALANCER}
        return [{"metadata": {"labels": labels}, "endpoints": [{"addresses": ["10.1.0.1"]}]}]

    def write_rollout(self, key: Key, rollout: Mapping[str, Any]) -> None:
        self.up()
        if key not in self.objects:
            raise Missing(f"{key} does not exist")
        self.writes += 1
        self.objects[key].setdefault("status", {})["rollout"] = json.loads(json.dumps(rollout))
