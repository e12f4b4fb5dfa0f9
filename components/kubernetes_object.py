"""Registers a Kubernetes object, given as the manifest Kubernetes itself documents, as a Pulumi resource.

Manifests are plain data made by pure functions, so that tests and checkers judge exactly what the cluster will get.
This is the only place that knows which class of pulumi-kubernetes stands for which kind.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

_CLASSES: Final[Mapping[tuple[str, str], Any]] = {
    ("v1", "ConfigMap"): kubernetes.core.v1.ConfigMap,
    ("v1", "Namespace"): kubernetes.core.v1.Namespace,
    ("v1", "ResourceQuota"): kubernetes.core.v1.ResourceQuota,
    ("v1", "Secret"): kubernetes.core.v1.Secret,
    ("v1", "Service"): kubernetes.core.v1.Service,
    ("v1", "ServiceAccount"): kubernetes.core.v1.ServiceAccount,
    ("apps/v1", "Deployment"): kubernetes.apps.v1.Deployment,
    ("policy/v1", "PodDisruptionBudget"): kubernetes.policy.v1.PodDisruptionBudget,
    ("networking.k8s.io/v1", "NetworkPolicy"): kubernetes.networking.v1.NetworkPolicy,
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): kubernetes.rbac.v1.ClusterRole,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): kubernetes.rbac.v1.ClusterRoleBinding,
    ("rbac.authorization.k8s.io/v1", "Role"): kubernetes.rbac.v1.Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): kubernetes.rbac.v1.RoleBinding,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): kubernetes.apiextensions.v1.CustomResourceDefinition,
}


def registered(name: str, manifest: Mapping[str, Any], opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
    """The resource `name` for `manifest` (apiVersion, kind, metadata and the kind's own top-level fields)."""
    fields = {_snake(key): value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
    kind = _CLASSES.get((manifest["apiVersion"], manifest["kind"]))
    if kind is None:
        return kubernetes.apiextensions.CustomResource(
            name, api_version=manifest["apiVersion"], kind=manifest["kind"], **fields, opts=opts
        )
    resource: pulumi.CustomResource = kind(name, **fields, opts=opts)
    return resource


def _snake(key: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower()
