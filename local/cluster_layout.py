"""Addresses, ports and folders of the one embedded cluster a machine can have."""

from pathlib import Path
from typing import Final

from headrace.local.paths import state_directory

NODE: Final = "headrace"
BRIDGE: Final = "headrace0"
NODE_ADDRESS: Final = "10.213.0.1"
"""The bridge's own address: the node, the API server and NodePorts. Only this machine and its pods can reach it."""
NODE_NETWORK: Final = "10.213.0.0/24"
POD_NETWORK: Final = "10.213.0.0/16"
SERVICE_NETWORK: Final = "10.214.0.0/16"
DNS_ADDRESS: Final = "10.214.0.10"
STORAGE_CLASS: Final = "headrace-local"
"""Of the one volume there is, a folder of this machine: nothing makes others."""
CLUSTER_DOMAIN: Final = "cluster.local"

API_PORT: Final = 16443
ETCD_PORT: Final = 12379
ETCD_PEER_PORT: Final = 12380
KUBELET_PORT: Final = 16250
KUBELET_HEALTH_PORT: Final = 16248
CONTROLLER_MANAGER_PORT: Final = 16257
SCHEDULER_PORT: Final = 16259
PROXY_HEALTH_PORT: Final = 16256
PROXY_METRICS_PORT: Final = 16249
PORTS: Final = {
    "API server": API_PORT,
    "etcd": ETCD_PORT,
    "etcd peers": ETCD_PEER_PORT,
    "kubelet": KUBELET_PORT,
    "kubelet health": KUBELET_HEALTH_PORT,
    "controller manager": CONTROLLER_MANAGER_PORT,
    "scheduler": SCHEDULER_PORT,
    "kube-proxy health": PROXY_HEALTH_PORT,
    "kube-proxy metrics": PROXY_METRICS_PORT,
}


class Folders:
    """Folders of the cluster's state; all of them below one."""

    def __init__(self, root: Path) -> None:
        self.root: Final = root
        self.certificates: Final = root / "pki"
        """Certificate authorities, certificates and keys, made by kubeadm."""
        self.kubeconfigs: Final = root / "kubeconfig"
        """`admin.conf` and one file for each program."""
        self.admin_kubeconfig: Final = self.kubeconfigs / "admin.conf"
        """Full rights over the cluster."""
        self.configuration: Final = root / "etc"
        """Configuration files of the programs."""
        self.encryption: Final = self.configuration / "encryption.json"
        """How the API server encrypts Secrets before etcd writes them, with the key."""
        self.processes: Final = root / "run"
        """Pid and log files."""
        self.containerd: Final = root / "containerd"
        """containerd's root, state and socket."""
        self.containerd_socket: Final = self.containerd / "containerd.sock"
        """Where the kubelet and `ctr` reach containerd."""
        self.tables: Final = root / "tables"
        """The volume of the table writer: tables of requests."""
        self.kubelet: Final = root / "kubelet"
        """The kubelet's root: pods' volumes."""


def folders() -> Folders:
    """Folders of this checkout's cluster."""
    return Folders(state_directory() / "cluster")
