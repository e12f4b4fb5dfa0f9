"""Pods keep to the Pod Security Standard `restricted`."""

from collections.abc import Iterator

from rules.pods.pod_specs import PodTemplate, pods
from rules.rule import ObjectRule, Resource, Settings

_VOLUMES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
)


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for pod in pods(resource):
        yield from _pod_faults(pod)
        yield from _container_faults(pod)


def _pod_faults(pod: PodTemplate) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(field):
            yield f"the pod shares the node's namespaces; remove {field}"
    for volume in pod.spec.get("volumes") or ():
        kinds = {kind for kind, value in volume.items() if kind != "name" and value is not None}
        if not kinds <= _VOLUMES:
            yield f"volume {volume.get('name')} reaches into the node; use one of {', '.join(sorted(_VOLUMES))}"


def _container_faults(pod: PodTemplate) -> Iterator[str]:
    around = pod.spec.get("securityContext") or {}
    for container in pod.containers:
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
        if any(port.get("hostPort") for port in container.get("ports") or ()):
            yield f"container {name} takes a port of the node; remove hostPort"


RULE = ObjectRule(
    name="kubernetes-pod-restricted",
    description="Pods keep to the Pod Security Standard restricted.",
    judge=_judge,
)
