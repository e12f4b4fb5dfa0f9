"""Addresses, ports and folders of the one embedded cluster a machine can have."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.stacks.local.places import state_directory

NODE: Final = "headrace"
BRIDGE: Final = "headrace0"
NODE_ADDRESS: Final = "10.213.0.1"
"""The bridge's own address: the node, the API server and NodePorts. Only this machine and its pods can reach it."""
NODE_NETWORK: Final = "10.213.0.0/24"
POD_NETWORK: Final = "10.213.0.0/16"
SERVICE_NETWORK: Final = "10.214.0.0/16"
DNS_ADDRESS: Final = "10.214.0.10"
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


@dataclass(frozen=True)
class Folders:
    """Folders of the cluster's state; all of them below one."""

    root: Path

    @property
    def certificates(self) -> Path:
        """Certificate authorities, certificates and keys, made by kubeadm."""
        return self.root / "pki"

    @property
    def kubeconfigs(self) -> Path:
        """`admin.conf` and one file for each program."""
        return self.root / "kubeconfig"

    @property
    def configuration(self) -> Path:
        """Configuration files of the programs."""
        return self.root / "etc"

    @property
    def processes(self) -> Path:
        """Pid and log files."""
        return self.root / "run"

    @property
    def containerd(self) -> Path:
        """containerd's root, state and socket."""
        return self.root / "containerd"

    @property
    def containerd_socket(self) -> Path:
        """Where the kubelet and `ctr` reach containerd."""
        return self.containerd / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root: pods' volumes."""
        return self.root / "kubelet"

    @property
    def admin_kubeconfig(self) -> Path:
        """Full rights over the cluster."""
        return self.kubeconfigs / "admin.conf"


def folders() -> Folders:
    """Folders of this checkout's cluster."""
    return Folders(state_directory() / "cluster")
