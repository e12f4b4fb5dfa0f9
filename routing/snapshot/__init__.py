"""Pure: the world as the cluster shows it → the xDS resources of both Envoy roles. No clock, network or Kubernetes."""

from headrace.routing.snapshot.build import build
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.pods import Routing, ready_pods
from headrace.routing.snapshot.promotion import births, counts, former, promoted, waiting
from headrace.routing.snapshot.recall import Recall
from headrace.routing.snapshot.resources import Resource, RoleResources, Snapshot
from headrace.routing.snapshot.world import Endpoint, Keys, PodAddress, World, accepted_endpoints

__all__ = [
    "Endpoint",
    "Keys",
    "Options",
    "PodAddress",
    "Recall",
    "Resource",
    "RoleResources",
    "Routing",
    "Snapshot",
    "World",
    "accepted_endpoints",
    "births",
    "build",
    "counts",
    "former",
    "promoted",
    "ready_pods",
    "waiting",
]
