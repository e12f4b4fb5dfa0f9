"""Pure functions to Kubernetes manifests: nothing is created or read here, the same input gives the same data.

Keys are Kubernetes' own. Values may be Pulumi outputs where a parameter says so. Pods are in `pods.py`, network
policies in `flows.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

from headrace.contract import names

Manifest = dict[str, Any]
Labels = Mapping[str, str]

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


def labelled(manifest: Manifest, labels: Labels) -> Manifest:
    """`manifest`, made elsewhere, with `labels` added to its own."""
    own = manifest["metadata"]
    return {**manifest, "metadata": {**own, "labels": {**own.get("labels", {}), **labels}}}


def namespace(name: str, *, labels: Labels, annotations: Mapping[str, pulumi.Input[str]] | None = None) -> Manifest:
    """A namespace whose pods the API server holds to the Pod Security Standard `restricted`."""
    security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata(name, labels={**labels, **security}, annotations=annotations),
    }


def service_account(name: str, namespace: str, *, labels: Labels) -> Manifest:
    """An identity without a mounted token; a pod that talks to the API server asks for one in its own spec.

    Old providers wait for a Secret with its token, which Kubernetes has not made since 1.24.
    """
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(name, namespace, labels=labels, annotations=_SKIP_AWAIT),
        "automountServiceAccountToken": False,
    }


def config_map(name: str, namespace: str, *, labels: Labels, data: Mapping[str, str]) -> Manifest:
    """Files for a pod; pods carry a digest of them (`pods.with_checksum`), so that a change rolls the pods."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(name, namespace, labels=labels),
        "data": dict(data),
    }


def tls_secret(
    name: str,
    namespace: str,
    *,
    labels: Labels,
    certificate: pulumi.Input[str],
    private_key: pulumi.Input[str],
    ca_certificate: pulumi.Input[str],
) -> Manifest:
    """A server certificate in the shape that Kubernetes and cert-manager use: tls.crt, tls.key, ca.crt (all PEM)."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(name, namespace, labels=labels),
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": private_key, "ca.crt": ca_certificate},
    }


def deployment(
    name: str,
    namespace: str,
    *,
    labels: Labels,
    selector: Labels,
    pod: Manifest,
    replicas: int | None,
    deadline_seconds: int,
) -> Manifest:
    """A Deployment that never has fewer ready pods than before an update.

    `pod` is a pod template (`metadata`, `spec`). `replicas` is left out when None: an autoscaler owns the field.
    A rollout that makes no progress for `deadline_seconds` counts as failed.
    """
    spec: Manifest = {
        "selector": {"matchLabels": dict(selector)},
        "template": pod,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "revisionHistoryLimit": 2,  # Pulumi keeps the history; two are enough to read what the last rollout changed
        "progressDeadlineSeconds": deadline_seconds,
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, namespace, labels=labels),
        "spec": spec,
    }


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
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, namespace, labels=labels, annotations=annotations),
        "spec": {"type": service_type, "selector": dict(selector), "ports": list(ports)},
    }


def service_port(name: str, port: int, *, protocol: str | None = None, node_port: int | None = None) -> Manifest:
    """One port of a Service, to the container port of the same name; `protocol` is the appProtocol."""
    data: Manifest = {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
    if protocol is not None:
        data["appProtocol"] = protocol
    if node_port is not None:
        data["nodePort"] = node_port
    return data


def disruption_budget(name: str, namespace: str, *, labels: Labels, selector: Labels) -> Manifest:
    """At most one pod is evicted at a time.

    Not minAvailable 1: that lets all but one of many pods go at once, and blocks the drain of a node for ever where
    there is one pod. A pod that is not ready serves nobody and may always go.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(name, namespace, labels=labels),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": dict(selector)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def resource_quota(name: str, namespace: str, *, labels: Labels, hard: Mapping[str, str]) -> Manifest:
    """The most that all objects of the namespace may ask for together."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata(name, namespace, labels=labels),
        "spec": {"hard": dict(hard)},
    }


def cluster_role(name: str, *, labels: Labels, rules: Sequence[Manifest]) -> Manifest:
    """Rights that no namespace bounds."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": metadata(name, labels=labels),
        "rules": list(rules),
    }


def cluster_role_binding(name: str, *, labels: Labels, account: str, account_namespace: str) -> Manifest:
    """Gives the ClusterRole `name` to one ServiceAccount, in every namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata(name, labels=labels),
        **_grant(name, account, account_namespace),
    }


def role_binding(
    name: str, namespace: str, *, labels: Labels, role: str, account: str, account_namespace: str
) -> Manifest:
    """Gives the ClusterRole `role` to one ServiceAccount, in one namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(name, namespace, labels=labels),
        **_grant(role, account, account_namespace),
    }


def _grant(role: str, account: str, account_namespace: str) -> Manifest:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }


def custom_object(
    kind: str, name: str, namespace: str, *, labels: Labels, spec: pulumi.Input[Mapping[str, Any]]
) -> Manifest:
    """An object of our own API group."""
    return {
        "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
        "kind": kind,
        "metadata": metadata(name, namespace, labels=labels),
        "spec": spec,
    }
