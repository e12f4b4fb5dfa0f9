"""Objects every cluster has and a bare API server lacks: DNS, and rights for programs that run outside of pods."""

from typing import Any, Final

from headrace.stacks.local import containerd, layout

_COREFILE: Final = f"""\
.:53 {{
    errors
    health :8080
    ready :8181
    kubernetes {layout.CLUSTER_DOMAIN} in-addr.arpa {{
        ttl 5
    }}
    cache 5
}}
"""


def objects() -> list[dict[str, Any]]:
    """All of them, in an order in which they can be applied; applying them again changes nothing."""
    return [_administrators(), *_dns(), *_router_rights(), _kubelet_api_rights()]


def _administrators() -> dict[str, Any]:
    """Gives `admin.conf` its rights, as `kubeadm init` does; `super-admin.conf` has them without a binding."""
    return _binding("kubeadm:cluster-admins", "cluster-admin", {"kind": "Group", "name": "kubeadm:cluster-admins"})


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
    ports = [
        {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
    ]
    reader = [
        {"apiGroups": [""], "resources": ["services", "namespaces", "pods"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    service = {"selector": labels, "clusterIP": layout.DNS_ADDRESS, "ports": ports}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        *_role("system:coredns", reader, {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": _COREFILE}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**metadata, "name": "kube-dns"},
            "spec": service,
        },
    ]


def _router_rights() -> list[dict[str, Any]]:
    rules = [
        {
            "apiGroups": [""],
            "resources": ["namespaces", "pods", "services", "nodes", "endpoints"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
    ]
    return _role("system:kube-router", rules, {"kind": "User", "name": "system:kube-router"})


def _kubelet_api_rights() -> dict[str, Any]:
    """Lets the API server ask the kubelet for logs and exec."""
    name = "headrace:kubelet-api"
    return _binding(name, "system:kubelet-api-admin", {"kind": "User", "name": "kube-apiserver-kubelet-client"})


def _role(name: str, rules: list[dict[str, Any]], subject: dict[str, str]) -> list[dict[str, Any]]:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }
    return [role, _binding(name, name, subject)]


def _binding(name: str, role: str, subject: dict[str, str]) -> dict[str, Any]:
    group = {} if subject["kind"] == "ServiceAccount" else {"apiGroup": "rbac.authorization.k8s.io"}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{**subject, **group}],
    }
