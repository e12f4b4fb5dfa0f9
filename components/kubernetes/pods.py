"""Pod templates, which all keep the Pod Security Standard `restricted`, and parts that several of them have."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headrace.components.kubernetes.manifests import Labels, Manifest
from headrace.contract import names

CONFIG_DIGEST: Final = f"{names.API_GROUP}/config-digest"
"""Annotation with the digest of a pod's configuration, so that a change rolls the pods."""
POD_SECURITY: Final = {
    "runAsNonRoot": True,
    "runAsUser": names.RUN_AS_USER,
    "runAsGroup": names.RUN_AS_USER,
    "fsGroup": names.RUN_AS_USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
}


def template(
    account: str,
    container: Manifest,
    *,
    labels: Labels,
    selector: Labels,
    scratch: str,
    volumes: Sequence[Manifest] = (),
    config: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Manifest:
    """The template of a pod of one container: no token, no root, and replicas spread over zones and nodes if possible.

    `container` and `spec` are the fields of both that are this pod's own. Its root is read-only; /tmp is in memory, of
    the size `scratch`. A change of `config` rolls the pods.
    """
    metadata: Manifest = {"labels": {**labels, **selector}}
    marks = dict(annotations or {})
    if config is not None:
        marks[CONFIG_DIGEST] = hashlib.sha256(config_text(config).encode()).hexdigest()
    if marks:
        metadata["annotations"] = marks
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(selector)},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    return {
        "metadata": metadata,
        "spec": {
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,  # a variable for each Service of the namespace, read by nobody
            "securityContext": POD_SECURITY,
            "topologySpreadConstraints": spread,
            "containers": [restricted(container)],
            "volumes": [memory_volume("scratch", scratch), *volumes],
            **spec,
        },
    }


def restricted(container: Manifest) -> Manifest:
    """The container with what all of ours have: no right, a read-only root, /tmp in memory."""
    return {
        **container,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": _CONTAINER_SECURITY,
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}, *container.get("volumeMounts", ())],
    }


def sidecar(container: Manifest) -> Manifest:
    """An init container that runs beside the others, ends after them, and is started again should it end before."""
    common = {"imagePullPolicy": "IfNotPresent", "securityContext": _CONTAINER_SECURITY, "restartPolicy": "Always"}
    return {**container, **common}


def token_volume(name: str, *, audience: str) -> Manifest:
    """A volume with the file `token`: of the pod's account, good for `audience` alone, renewed by the kubelet."""
    token = {"serviceAccountToken": {"audience": audience, "expirationSeconds": 3600, "path": "token"}}
    return {"name": name, "projected": {"sources": [token]}}


def environment(values: Mapping[str, Any]) -> list[Manifest]:
    """The container's `env`."""
    return [{"name": name, "value": value} for name, value in values.items()]


def container_ports(ports: Mapping[str, int]) -> list[Manifest]:
    """The container's `ports`, by name."""
    return [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()]


def memory_volume(name: str, size: str) -> Manifest:
    """A volume in memory of at most `size`, which counts against the container's memory limit."""
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": size}}


def probe(path: str, port: str, *, period: int, timeout: int, failures: int) -> Manifest:
    """An HTTP probe of `path` on `port`: every `period` s, for `timeout` s at most; fails after `failures` in a row."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def config_text(config: Mapping[str, Any]) -> str:
    """A configuration as JSON text, the same for the same data."""
    return json.dumps(config, indent=1, sort_keys=True)
