"""Objects every cluster has and a bare API server lacks: DNS, rights for programs outside of pods, and a volume."""

from pathlib import Path
from typing import Any, Final

from headrace.contract import names
from headrace.local import cluster_layout, containerd

_RBAC: Final = "rbac.authorization.k8s.io"
_COREFILE: Final = f"""\
.:53 {{
    errors
    health :8080
    ready :8181
    kubernetes {cluster_layout.CLUSTER_DOMAIN} in-addr.arpa {{
        ttl 5
    }}
    cache 5
}}
"""


def objects(tables: Path) -> list[dict[str, Any]]:
    """All of them, in an order in which they can be applied; applying them again changes nothing.

    `tables` is the folder of this machine that is the table writer's volume.
    """
    administrators = {"kind": "Group", "name": "kubeadm:cluster-admins"}
    api_server = {"kind": "User", "name": "kube-apiserver-kubelet-client"}
    return [
        # Gives `admin.conf` its rights, as `kubeadm init` does; `super-admin.conf` has them without a binding.
        _binding("kubeadm:cluster-admins", "cluster-admin", administrators),
        *_dns(),
        *_router_rights(),
        # Lets the API server ask the kubelet for logs and exec.
        _binding("headrace:kubelet-api", "system:kubelet-api-admin", api_server),
        _volume(tables),
    ]


def _volume(folder: Path) -> dict[str, Any]:
    claim = {"namespace": names.SYSTEM_NAMESPACE, "name": names.TABLES}
    spec = {
        "capacity": {"storage": "100Gi"},  # nothing holds a folder to it
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": cluster_layout.STORAGE_CLASS,
        "claimRef": claim,
        "hostPath": {"path": str(folder), "type": "Directory"},
    }
    return _object("v1", "PersistentVolume", {"name": "headrace-tables"}, spec=spec)


def _dns() -> list[dict[str, Any]]:
    labels = {"k8s-app": "kube-dns"}
    metadata = {"name": "coredns", "namespace": "kube-system", "labels": labels}
    container = {
        "name": "coredns",
        "image": containerd.DNS_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "20m", "memory": "30Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 20},
        "volumeMounts": [{"name": "corefile", "mountPath": "/etc/coredns", "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        # port 53 without root: policies see the port behind the Service, and everybody's policies say 53
        "securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]},
        "priorityClassName": "system-cluster-critical",
        "containers": [container],
        "volumes": [{"name": "corefile", "configMap": {"name": "coredns"}}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    ports = [
        {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
    ]
    reader = [
        {"apiGroups": [""], "resources": ["services", "namespaces", "pods"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "clusterIP": cluster_layout.DNS_ADDRESS, "ports": ports}
    return [
        _object("v1", "ServiceAccount", metadata),
        *_role("system:coredns", reader, {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}),
        _object("v1", "ConfigMap", metadata, data={"Corefile": _COREFILE}),
        _object("apps/v1", "Deployment", metadata, spec=deployment),
        _object("v1", "Service", {**metadata, "name": "kube-dns"}, spec=service),
    ]


def _router_rights() -> list[dict[str, Any]]:
    watched = {
        "": ["namespaces", "pods", "services", "nodes", "endpoints"],
        "networking.k8s.io": ["networkpolicies"],
        "discovery.k8s.io": ["endpointslices"],
    }
    rules = [
        {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]}
        for group, resources in watched.items()
    ]
    return _role("system:kube-router", rules, {"kind": "User", "name": "system:kube-router"})


def _role(name: str, rules: list[dict[str, Any]], subject: dict[str, str]) -> list[dict[str, Any]]:
    return [_object(f"{_RBAC}/v1", "ClusterRole", {"name": name}, rules=rules), _binding(name, name, subject)]


def _binding(name: str, role: str, subject: dict[str, str]) -> dict[str, Any]:
    group = {} if subject["kind"] == "ServiceAccount" else {"apiGroup": _RBAC}
    granted = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role}
    described, subjects = {"name": name}, [{**subject, **group}]
    return _object(f"{_RBAC}/v1", "ClusterRoleBinding", described, roleRef=granted, subjects=subjects)


def _object(api_version: str, kind: str, metadata: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}
