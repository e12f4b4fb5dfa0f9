"""Pods keep to the Pod Security Standard `restricted`, with a read-only root and no unmeant API token."""

from collections.abc import Iterator, Mapping
from typing import Any

from rules.pod_specs import containers, pods
from rules.rule import ObjectRule, Resource

_VOLUMES = frozenset(
    ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
)
COMPONENT_LABEL = "serving.headrace.dev/component"
"""Label of the platform's own pods, of which the control plane does talk to the API server."""


def _judge(resource: Resource) -> Iterator[str]:
    for pod in pods(resource):
        yield from _pod_faults(pod)
        yield from _container_faults(pod)
        if pod.get("automountServiceAccountToken") is not False and COMPONENT_LABEL not in _labels(resource):
            yield (
                "whoever breaks into the pod gets a token for the API server; set automountServiceAccountToken: false"
            )


def _pod_faults(pod: Mapping[str, Any]) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"the pod shares the node's namespaces; remove {field}"
    for volume in pod.get("volumes") or ():
        kinds = {kind for kind, value in volume.items() if kind != "name" and value is not None}
        if not kinds <= _VOLUMES:
            yield f"volume {volume.get('name')} reaches into the node; use one of {', '.join(sorted(_VOLUMES))}"


def _container_faults(pod: Mapping[str, Any]) -> Iterator[str]:
    around = pod.get("securityContext") or {}
    for container in containers(pod):
        name, own = container.get("name"), container.get("securityContext") or {}
        effective = {**around, **{key: value for key, value in own.items() if value is not None}}
        dropped = (own.get("capabilities") or {}).get("drop") or ()
        added = set((own.get("capabilities") or {}).get("add") or ()) - {"NET_BIND_SERVICE"}
        if own.get("privileged"):
            yield f"container {name} owns the node; remove privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"container {name} may gain rights; set allowPrivilegeEscalation: false"
        if "ALL" not in dropped or added:
            yield f"container {name} keeps capabilities; set capabilities: {{drop: [ALL]}} and add none"
        if effective.get("runAsNonRoot") is not True or effective.get("runAsUser") == 0:
            yield f"container {name} may run as root; set runAsNonRoot: true and a runAsUser above 0"
        if (effective.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"container {name} may make every system call; set seccompProfile: {{type: RuntimeDefault}}"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"container {name} can be changed while it runs; set readOnlyRootFilesystem: true"
        if any(port.get("hostPort") for port in container.get("ports") or ()):
            yield f"container {name} takes a port of the node; remove hostPort"


def _labels(resource: Resource) -> Mapping[str, Any]:
    template = (resource.props.get("spec") or {}).get("template") or {}
    return (template.get("metadata") or {}).get("labels") or {}


RULE = ObjectRule(
    name="kubernetes-pod-restricted",
    description="Pods keep to the Pod Security Standard restricted, with a read-only root and no API token.",
    judge=_judge,
)
