"""A pure function of the cluster's state: the xDS resources of both Envoy roles. No clock, network or Kubernetes."""

from headrace.routing.snapshot.build import build
from headrace.routing.snapshot.endpoint_health import RoutablePods, ready_pods, versions_with_unready_pods
from headrace.routing.snapshot.fallback import (
    creation_times,
    pod_counts,
    previous_versions,
    versions_without_pods,
    with_fallback,
)
from headrace.routing.snapshot.generational_cache import GenerationalCache
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Resource, RoleResources, Snapshot
from headrace.routing.snapshot.world import Endpoint, Issuers, Keys, KnownIssuer, PodAddress, World, accepted_endpoints

__all__ = [
    "Endpoint",
    "GenerationalCache",
    "Issuers",
    "Keys",
    "KnownIssuer",
    "Options",
    "PodAddress",
    "Resource",
    "RoleResources",
    "RoutablePods",
    "Snapshot",
    "World",
    "accepted_endpoints",
    "build",
    "creation_times",
    "pod_counts",
    "previous_versions",
    "ready_pods",
    "versions_with_unready_pods",
    "versions_without_pods",
    "with_fallback",
]
