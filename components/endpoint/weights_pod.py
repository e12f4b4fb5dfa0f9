"""WeightsPod: the parts of a model's pod that bring its weights: who copies, to which volume, and who owns that."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from headrace.components.endpoint.endpoint_weights import WeightsCache, WeightsPlan
from headrace.components.endpoint.sizing import Allotment
from headrace.components.kubernetes.manifests import Labels, Manifest, kubernetes_object, metadata
from headrace.components.kubernetes.pods import POD_SECURITY
from headrace.contract import names
from headrace.contract.weights import COMMAND, ENV_LIMIT, ENV_SOURCE, ENV_TRACKING_URI, WEIGHTS_HOME

_MIB: Final = 1024 * 1024
_SPARE_MIB: Final = 64
"""Of a pod's own volume, over the size of the weights: for what the file system needs."""
_OTHER_MIB: Final = 1024
"""What a model's container may write to the node's disk besides."""
_VOLUME: Final = "weights"
_CLAIM: Final = "weights"
"""In the endpoint's namespace, where the cache is a directory of the node."""
_ANY_CAPACITY: Final = "1Gi"
"""A claim and a volume must name one, and neither may change it; what bounds a directory is `cache.mib`."""
_SLOW_STORE_BYTES_PER_SECOND: Final = 50 * _MIB


def init_container(
    plan: WeightsPlan, environment: Sequence[Manifest], allotment: Allotment, *, endpoint: str
) -> Manifest:
    """What copies the weights before the model starts; the image, which is the model's own, is not in it yet."""
    variables = {ENV_SOURCE: plan.source, ENV_TRACKING_URI: plan.tracking_uri, "HOME": "/tmp"}
    if plan.cache is not None and plan.cache.mib is not None:
        variables[ENV_LIMIT] = str(plan.cache.mib * _MIB)
    resources = replace(allotment, gpus=0).manifest()
    if (
        plan.cache is None
    ):  # so that the scheduler finds a node whose disk has room, and the kubelet lets the pod use it
        disk = {"ephemeral-storage": f"{_own_mib(plan) + _OTHER_MIB}Mi"}
        resources = {kind: {**given, **disk} for kind, given in resources.items()}
    return {
        "name": _VOLUME,
        "args": [COMMAND],
        "env": [*({"name": name, "value": value} for name, value in variables.items()), *environment],
        "resources": resources,
        "volumeMounts": [{"name": _VOLUME, "mountPath": WEIGHTS_HOME, **_folder(plan, endpoint)}],
    }


def volume(plan: WeightsPlan) -> Manifest:
    """Entry of the pod's `volumes`."""
    if plan.cache is None:
        return {"name": _VOLUME, "emptyDir": {"sizeLimit": f"{_own_mib(plan)}Mi"}}
    return {"name": _VOLUME, "persistentVolumeClaim": {"claimName": plan.cache.claim or _CLAIM}}


def mount(plan: WeightsPlan, *, endpoint: str) -> Manifest:
    """Entry of the model's own `volumeMounts`: it cannot write what other pods will read."""
    return {"name": _VOLUME, "mountPath": WEIGHTS_HOME, "readOnly": True, **_folder(plan, endpoint)}


def pod_security() -> Manifest:
    """The pod's `securityContext`: the kubelet gives the volume to our group once, and not each file at each start."""
    return {**POD_SECURITY, "fsGroupChangePolicy": "OnRootMismatch"}


def copy_seconds(plan: WeightsPlan) -> int:
    """How long copying may take: a second for each 50 MiB, as for what a slow disk reads."""
    return math.ceil(plan.size_bytes / _SLOW_STORE_BYTES_PER_SECOND)


def node_volume(cache: WeightsCache, namespace: str, *, labels: Labels) -> tuple[Manifest, Manifest]:
    """The volume that is this directory on whichever node a pod runs, and the claim that it is for.

    A pod may not name a directory of its node (Pod Security `baseline`), nor would the kubelet make one that our user
    can write to. A local volume is what a cluster's administrator gives, is handed to the pod's group, and says by its
    affinity where it is: here on every node, with other content on each, which is what a cache is.
    """
    place = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeMode": "Filesystem"}
    name = f"{namespace}-{_CLAIM}"
    given = kubernetes_object(
        "v1",
        "PersistentVolume",
        metadata(name, labels=labels),
        spec={
            **common,
            "capacity": {"storage": _ANY_CAPACITY},
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": cache.node_path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [place]}]}},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": _CLAIM},
        },
    )
    asked = kubernetes_object(
        "v1",
        "PersistentVolumeClaim",
        metadata(_CLAIM, namespace, labels=labels),
        spec={**common, "volumeName": name, "resources": {"requests": {"storage": _ANY_CAPACITY}}},
    )
    return given, asked


def _folder(plan: WeightsPlan, endpoint: str) -> Manifest:
    """Of a directory that endpoints share, this one's: no model reads another endpoint's weights."""
    shared = plan.cache is not None and plan.cache.node_path is not None
    return {"subPath": names.endpoint_namespace(endpoint)} if shared else {}


def _own_mib(plan: WeightsPlan) -> int:
    return math.ceil(plan.size_bytes / _MIB) + _SPARE_MIB
