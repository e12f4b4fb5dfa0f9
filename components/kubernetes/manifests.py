"""Kubernetes manifests as pure functions: nothing is created or read, and the same input gives the same data.

Keys are Kubernetes' own. Values may be Pulumi outputs where a parameter says so. Network policies are in
`network_policies.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

from headrace.contract import names

Manifest = dict[str, Any]
Labels = Mapping[str, str]

REPLICAS: Final = 2
"""Copies of each program of the platform, unless the input `replicas` says otherwise: a lost node stops nothing."""
_RBAC: Final = "rbac.authorization.k8s.io"
_SKIP_AWAIT: Final = {"pulumi.com/skipAwait": "true"}
"""Tells the provider not to wait until it thinks that the object is ready."""


def standard_labels(part: str, labels: Labels) -> dict[str, str]:
    """The recommended `app.kubernetes.io` labels under the user's own `labels`, which win."""
    return {"app.kubernetes.io/name": part, "app.kubernetes.io/part-of": "headrace", **labels}


def metadata(
    name: str,
    namespace: str | None = None,
    *,
    labels: Labels,
    annotations: Mapping[str, pulumi.Input[str]] | None = None,
) -> Manifest:
    """`metadata` of an object; a name that Pulumi does not invent, because other programs look for it."""
    data: Manifest = {"name": name, "labels": dict(labels)}
    if namespace is not None:
        data["namespace"] = namespace
    if annotations:
        data["annotations"] = dict(annotations)
    return data


def kubernetes_object(api_version: str, kind: str, described: Manifest, **fields: Any) -> Manifest:
    """An object of that kind, `described` by its metadata, with the kind's own `fields`."""
    return {"apiVersion": api_version, "kind": kind, "metadata": described, **fields}


def labelled(manifest: Manifest, labels: Labels) -> Manifest:
    """`manifest`, made elsewhere, with `labels` added to its own."""
    own = manifest["metadata"]
    return {**manifest, "metadata": {**own, "labels": {**own.get("labels", {}), **labels}}}


def namespace(name: str, *, labels: Labels, annotations: Mapping[str, pulumi.Input[str]] | None = None) -> Manifest:
    """A namespace whose pods the API server holds to the Pod Security Standard `restricted`."""
    security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    described = metadata(name, labels={**labels, **security}, annotations=annotations)
    return kubernetes_object("v1", "Namespace", described)


def service_account(
    name: str, namespace: str, *, labels: Labels, annotations: Mapping[str, pulumi.Input[str]] | None = None
) -> Manifest:
    """An identity without a mounted token; a pod that talks to the API server asks for one in its own spec.

    Old providers wait for a Secret with its token, which Kubernetes has not made since 1.24.
    """
    described = metadata(name, namespace, labels=labels, annotations={**_SKIP_AWAIT, **(annotations or {})})
    return kubernetes_object("v1", "ServiceAccount", described, automountServiceAccountToken=False)


def config_map(name: str, namespace: str, *, labels: Labels, data: Mapping[str, pulumi.Input[str]]) -> Manifest:
    """Files for a pod, or what tools read; pods carry a digest of their files (`pods.CONFIG_DIGEST`), so that a change
    rolls the pods."""
    return kubernetes_object("v1", "ConfigMap", metadata(name, namespace, labels=labels), data=dict(data))


def tls_secret(name: str, namespace: str, *, labels: Labels, files: Mapping[str, pulumi.Input[str]]) -> Manifest:
    """A server certificate in the shape that Kubernetes and cert-manager use: tls.crt, tls.key, ca.crt (all PEM)."""
    described = metadata(name, namespace, labels=labels)
    return kubernetes_object("v1", "Secret", described, type="kubernetes.io/tls", stringData=dict(files))


def deployment(
    name: str,
    namespace: str,
    *,
    labels: Labels,
    selector: Labels,
    pod: Manifest,
    replicas: int | None,
    deadline_seconds: int,
    is_exclusive: bool = False,
) -> Manifest:
    """A Deployment that never has fewer ready pods than before an update; one that is `is_exclusive` ends a pod before
    it starts the next, for volumes that only one may hold.

    `pod` is a pod template (`metadata`, `spec`). `replicas` is left out when None: an autoscaler owns the field.
    A rollout that makes no progress for `deadline_seconds` counts as failed.
    """
    spec: Manifest = {
        "selector": {"matchLabels": dict(selector)},
        "template": pod,
        "strategy": {"type": "Recreate"}
        if is_exclusive
        else {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "revisionHistoryLimit": 2,  # Pulumi keeps the history; two are enough to read what the last rollout changed
        "progressDeadlineSeconds": deadline_seconds,
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return kubernetes_object("apps/v1", "Deployment", metadata(name, namespace, labels=labels), spec=spec)


def service(
    name: str,
    namespace: str,
    *,
    labels: Labels,
    selector: Labels,
    ports: Sequence[Manifest],
    service_type: str = "ClusterIP",
) -> Manifest:
    """A Service over the pods with `selector`.

    Only one that must get an address is waited for. The provider would wait for ready pods, which is the Deployment's
    part and in vain where there are none on purpose.
    """
    annotations = None if service_type == "LoadBalancer" else _SKIP_AWAIT
    described = metadata(name, namespace, labels=labels, annotations=annotations)
    spec = {"type": service_type, "selector": dict(selector), "ports": list(ports)}
    return kubernetes_object("v1", "Service", described, spec=spec)


def service_port(name: str, port: int, *, protocol: str) -> Manifest:
    """One port of a Service, to the container port of the same name; `protocol` is the appProtocol."""
    return {"name": name, "port": port, "targetPort": name, "protocol": "TCP", "appProtocol": protocol}


def disruption_budget(name: str, namespace: str, *, labels: Labels, selector: Labels) -> Manifest:
    """At most one pod is evicted at a time.

    Not minAvailable 1: that lets all but one of many pods go at once, and blocks the drain of a node for ever where
    there is one pod. A pod that is not ready serves nobody and may always go.
    """
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": dict(selector)},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return kubernetes_object("policy/v1", "PodDisruptionBudget", metadata(name, namespace, labels=labels), spec=spec)


def volume_claim(name: str, namespace: str, *, labels: Labels, storage_class: str | None, gib: int) -> Manifest:
    """A volume for one node at a time, which the cluster's storage class makes; nobody waits for it but its pod."""
    described = metadata(name, namespace, labels=labels, annotations=_SKIP_AWAIT)
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": f"{gib}Gi"}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return kubernetes_object("v1", "PersistentVolumeClaim", described, spec=spec)


def resource_quota(name: str, namespace: str, *, labels: Labels, hard: Mapping[str, str]) -> Manifest:
    """The most that all objects of the namespace may ask for together."""
    return kubernetes_object("v1", "ResourceQuota", metadata(name, namespace, labels=labels), spec={"hard": dict(hard)})


def cluster_role(name: str, *, labels: Labels, rules: Sequence[Manifest]) -> Manifest:
    """Rights that no namespace bounds."""
    return kubernetes_object(f"{_RBAC}/v1", "ClusterRole", metadata(name, labels=labels), rules=list(rules))


def role_binding(role: str, account: str, *, labels: Labels, namespace: str | None = None) -> Manifest:
    """Gives the ClusterRole `role` to a ServiceAccount of the platform, in one namespace or, by default, in all."""
    kind = "ClusterRoleBinding" if namespace is None else "RoleBinding"
    described = metadata(role, namespace, labels=labels)
    granted = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": names.SYSTEM_NAMESPACE}
    return kubernetes_object(f"{_RBAC}/v1", kind, described, roleRef=granted, subjects=[subject])


def custom_object(
    kind: str,
    name: str,
    namespace: str,
    *,
    labels: Labels,
    spec: pulumi.Input[Mapping[str, Any]],
    annotations: Mapping[str, pulumi.Input[str]] | None = None,
) -> Manifest:
    """An object of our own API group."""
    described = metadata(name, namespace, labels=labels, annotations=annotations)
    return kubernetes_object(f"{names.API_GROUP}/{names.API_VERSION}", kind, described, spec=spec)
