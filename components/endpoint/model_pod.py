"""ModelPod: the pod template of one version of one model."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi

from headrace.components.endpoint.sizing import GPU_RESOURCE, Allotment
from headrace.components.kubernetes import pods
from headrace.components.kubernetes.manifests import Labels, Manifest
from headrace.contract import names
from headrace.contract.runtime import ENV_ENGINE, EnginePlan

ACCOUNT: Final = "model"
"""ServiceAccount of the pod, in the endpoint's namespace."""
PRE_STOP_SECONDS: Final = 5
"""How long a pod that must go stays ready. The front serves on for 5 s more after SIGTERM, so that a version's only pod
answers for 10 s, in which a small model's next pod starts."""
_FRONT_LEAVES_SECONDS: Final = 7
"""Of its grace, the front spends 5 s serving on and up to 2 s stopping its workers."""
_EXIT_SECONDS: Final = 5
"""Between the end of the drain and SIGKILL."""
_ENGINE_SCRATCH: Final = "512Mi"
"""For what engines compile at start (vLLM: tens of MB of kernels and graphs) and their sockets."""
_STARTUP_WAIT_SECONDS: Final = 5
"""How long the front holds back its answer to the startup probe while the model loads.

After a probe's first result, and after each change, the kubelet (v1.36) writes the pod's status anew, once its view of
the containers is newer than that of the status before; it takes such a view once a second. What comes within that
second waits for it: that the model is ready, too. So no probe of a model pod has a result while an ordinary start ends:
the startup probe waits, and readiness has its first look later, or at once when the start is over."""
_STARTUP_REFUSALS: Final = 3
"""Startup probes that find no listener yet: a front is imported in a quarter of a second, in seconds on a busy node."""
_GPU_TOLERATION: Final = {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
"""Nodes with GPUs keep pods without that away, by this taint on every managed Kubernetes."""


@dataclass(frozen=True, kw_only=True)
class PodNeeds:
    """What an endpoint's inputs add to its pods."""

    environment: Sequence[Manifest] = ()
    """Entries of the container's `env`."""
    labels: Labels = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    volumes: Sequence[Manifest] = ()
    mounts: Sequence[Manifest] = ()
    tolerations: Sequence[Manifest] = ()
    before: Sequence[Manifest] = ()
    """Init containers, which are of the model's own image."""
    sidecars: Sequence[Manifest] = ()
    """Init containers that run beside the model's."""
    spec: Manifest = field(default_factory=dict)
    """Other fields of the pod's spec."""
    telemetry: "TelemetryParts | None" = None
    """What sends spans and lines on, of a pod that has no other sidecar for it."""


@dataclass(frozen=True, kw_only=True)
class TelemetryParts:
    """What a pod has where its platform has a Collector, and has not elsewhere."""

    collector: pulumi.Output[str]
    """Address and port of the Collector; empty where there is none."""
    sidecar: Manifest
    mount: Manifest
    """Of the model's container."""
    volume: Manifest

    def joined(self, pod: Manifest) -> Manifest:
        """The pod template with these parts, where there is a Collector."""
        spec = pod["spec"]
        [container] = spec["containers"]
        mounts = self._and(container["volumeMounts"], self.mount)
        return {
            **pod,
            "spec": {
                **spec,
                "initContainers": self._and(spec.get("initContainers", ()), self.sidecar),
                "containers": [{**container, "volumeMounts": mounts}],
                "volumes": self._and(spec["volumes"], self.volume),
            },
        }

    def _and(self, given: Sequence[Manifest], more: Manifest) -> pulumi.Output[list[Manifest]]:
        def found(collector: str) -> pulumi.Output[list[Manifest]]:
            return pulumi.Output.from_input([*given, *([more] if collector else [])])

        return self.collector.apply(found)


def model_pod(
    *,
    endpoint: str,
    version: str,
    image: pulumi.Input[str],
    labels: Labels,
    allotment: Allotment,
    timeout_seconds: float,
    start_seconds: int,
    engine: EnginePlan | None = None,
    needs: PodNeeds | None = None,
) -> Manifest:
    """The pod template of one version of one model, which `engine` serves, or our own workers where that is None.

    Ready means that /ping answered, which the front allows only after a warm-up prediction. Alive is asked elsewhere
    (/health) and far less often, so that a busy model is not mistaken for a dead one. `start_seconds` is how long
    loading may take, `timeout_seconds` how long one request may: after SIGTERM a pod lives on until the last one it
    accepted can be done, and ends at once when it has none.
    """
    drain_seconds = _drain_seconds(timeout_seconds)
    needs = PodNeeds() if needs is None else needs
    variables: dict[str, pulumi.Input[str]] = {
        names.ENV_ENDPOINT: endpoint,
        names.ENV_VERSION: version,
        names.ENV_IMAGE: image,
        names.ENV_TIMEOUT_SECONDS: f"{timeout_seconds:g}",
        names.ENV_GRACE_SECONDS: str(drain_seconds),
        "HOME": "/tmp",  # libraries write caches beneath it, and the root file system is read-only
    }
    if engine is not None:
        variables[ENV_ENGINE] = json.dumps(engine.to_json(), sort_keys=True)
    elif allotment.gpus:
        variables[names.ENV_WORKERS] = "1"  # each worker of ours loads the model, and a GPU holds it once
    container = {
        "name": "model",
        "image": image,
        "env": [*pods.environment(variables), *needs.environment],
        "ports": pods.container_ports({"http": names.FRONT_PORT, "admin": names.FRONT_ADMIN_PORT}),
        "resources": allotment.manifest(),
        "startupProbe": _startup_probe(start_seconds),
        "readinessProbe": pods.probe("/ping", "http", period=3, timeout=3, failures=2),
        "livenessProbe": pods.probe("/health", "http", period=10, timeout=5, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
    }
    tolerations = [*([_GPU_TOLERATION] if allotment.gpus else []), *needs.tolerations]
    spec: Manifest = {**needs.spec, **({"tolerations": tolerations} if tolerations else {})}
    first = [pods.restricted({**each, "image": image}) for each in needs.before]
    if first or needs.sidecars:
        spec["initContainers"] = [*first, *needs.sidecars]
    volumes, mounts = [*needs.volumes], [*needs.mounts]
    if allotment.shared_memory_mib:
        volumes.append(pods.memory_volume("shared-memory", f"{allotment.shared_memory_mib}Mi"))
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
    if mounts:
        container["volumeMounts"] = mounts
    made = pods.template(
        ACCOUNT,
        container,
        labels={**labels, **needs.labels},
        annotations=needs.annotations,
        selector={names.ENDPOINT_LABEL: endpoint, names.VERSION_LABEL: version},
        scratch="64Mi" if engine is None else _ENGINE_SCRATCH,
        volumes=volumes,
        terminationGracePeriodSeconds=grace_seconds(timeout_seconds),
        **spec,
    )
    return made if needs.telemetry is None else needs.telemetry.joined(made)


def grace_seconds(timeout_seconds: float) -> int:
    """How long a model's pod may take to go, when its requests may take `timeout_seconds`."""
    return PRE_STOP_SECONDS + _drain_seconds(timeout_seconds) + _EXIT_SECONDS


def _drain_seconds(timeout_seconds: float) -> int:
    return math.ceil(timeout_seconds) + _FRONT_LEAVES_SECONDS


def _startup_probe(start_seconds: int) -> Manifest:
    """Gives up `start_seconds`, or up to 20 s more, later.

    A probe that finds no listener takes a second and not the front's wait: many of them, on a node without any CPU to
    spare, make it give up sooner.
    """
    wait = _STARTUP_WAIT_SECONDS
    failures = math.ceil(start_seconds / wait) + _STARTUP_REFUSALS
    return pods.probe(f"/ping?wait={wait}", "http", period=1, timeout=wait + 2, failures=failures)
