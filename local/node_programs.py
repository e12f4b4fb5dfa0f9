"""The programs of a single-node Kubernetes: certificates, configuration files, command lines, and what they leave."""

import ipaddress
import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from headrace.contract.errors import TemporaryError
from headrace.local import cluster_layout
from headrace.local.cluster_layout import Folders
from headrace.local.processes import Daemon
from headrace.local.toolchain.programs import KUBERNETES_VERSION

ISSUER: Final = f"https://kubernetes.default.svc.{cluster_layout.CLUSTER_DOMAIN}"
_SYSTEM_USERS: Final = ("system:kube-proxy", "system:kube-router")
"""Programs that run as plain processes and for which `kubeadm init phase kubeconfig all` makes no kubeconfig."""
POD_PIDS: Final = 4096
"""Processes and threads of a pod. The kernel has room for 32,768 of all; a worker of ours starts up to 512 threads for
calls, and the model's libraries theirs."""
_LOG_LINKS: Final = Path("/var/log/containers")
_CNI_RESULTS: Final = Path("/var/lib/cni/results")
_MAYBE_EMPTY: Final = (
    Path("/var/lib/kubelet/device-plugins"), Path("/var/lib/kubelet"), _LOG_LINKS, _CNI_RESULTS, Path("/var/lib/cni"),
)  # fmt: skip


def write_certificates(folders: Folders, programs: Path) -> None:
    """Has kubeadm write certificates and kubeconfigs; it keeps existing ones, so a restart keeps their identities."""
    configuration = folders.configuration / "kubeadm.json"
    documents = _kubeadm_documents(folders)
    configuration.write_text("\n---\n".join(json.dumps(document) for document in documents))
    kubeadm = str(programs / "kubeadm")
    _run(kubeadm, "init", "phase", "certs", "all", "--config", str(configuration))
    kubeconfigs = ["--kubeconfig-dir", str(folders.kubeconfigs)]
    _run(kubeadm, "init", "phase", "kubeconfig", "all", "--config", str(configuration), *kubeconfigs)
    for user in _SYSTEM_USERS:
        path = folders.kubeconfigs / f"{user.removeprefix('system:')}.conf"
        if not path.exists():
            made = _run(kubeadm, "kubeconfig", "user", "--client-name", user, "--config", str(configuration))
            path.touch(mode=0o600)
            path.write_text(made)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TemporaryError(f"`{' '.join(command[:5])}` ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout


def _kubeadm_documents(folders: Folders) -> list[dict[str, Any]]:
    group = "kubeadm.k8s.io/v1beta4"
    return [
        {
            "apiVersion": group,
            "kind": "InitConfiguration",
            "localAPIEndpoint": {"advertiseAddress": cluster_layout.NODE_ADDRESS, "bindPort": cluster_layout.API_PORT},
            "nodeRegistration": {"name": cluster_layout.NODE, "criSocket": f"unix://{folders.containerd_socket}"},
        },
        {
            "apiVersion": group,
            "kind": "ClusterConfiguration",
            "clusterName": "headrace",
            "kubernetesVersion": KUBERNETES_VERSION,
            "certificatesDir": str(folders.certificates),
            "controlPlaneEndpoint": f"{cluster_layout.NODE_ADDRESS}:{cluster_layout.API_PORT}",
            "networking": {
                "podSubnet": cluster_layout.POD_NETWORK,
                "serviceSubnet": cluster_layout.SERVICE_NETWORK,
                "dnsDomain": cluster_layout.CLUSTER_DOMAIN,
            },
        },
    ]


def write_configuration(folders: Folders) -> None:
    """The kubelet's and kube-proxy's configuration files and the pods' network."""
    files: dict[str, Any] = {
        "kubelet.json": _kubelet_configuration(folders),
        "kube-proxy.json": _proxy_configuration(folders),
        "cni/10-headrace.conflist": _cni_configuration(folders),
    }
    for name, content in files.items():
        path = folders.configuration / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=1)
        if not path.exists() or path.read_text() != text:  # kube-proxy ends when its file is written, even unchanged
            path.write_text(text)
    (folders.configuration / "resolv.conf").write_text("# pods ask the cluster's DNS only\n")


def _kubelet_configuration(folders: Folders) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": cluster_layout.NODE_ADDRESS,
        "port": cluster_layout.KUBELET_PORT,
        "healthzPort": cluster_layout.KUBELET_HEALTH_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(folders.certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{folders.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,  # hosts with cgroup v1 exist; 1.35 and later refuse them unless told
        "failSwapOn": False,
        "clusterDNS": [cluster_layout.DNS_ADDRESS],
        "clusterDomain": cluster_layout.CLUSTER_DOMAIN,
        "resolvConf": str(folders.configuration / "resolv.conf"),
        "podLogsDir": str(folders.root / "pod-logs"),
        "makeIPTablesUtilChains": False,
        # An image on the node may have been pulled from a registry under another name. The kubelet would verify access
        # by pulling the image under its local name, which no registry has, before a pod may use it.
        "imagePullCredentialsVerificationPolicy": "NeverVerify",
        "imageMinimumGCAge": "24h",
        "imageGCHighThresholdPercent": 100,  # images come from this machine: no registry has one that is collected
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "podPidsLimit": POD_PIDS,
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "30s",
    }


def _proxy_configuration(folders: Folders) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(folders.kubeconfigs / "kube-proxy.conf")},
        "hostnameOverride": cluster_layout.NODE,
        "clusterCIDR": cluster_layout.POD_NETWORK,
        "healthzBindAddress": f"{cluster_layout.NODE_ADDRESS}:{cluster_layout.PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"127.0.0.1:{cluster_layout.PROXY_METRICS_PORT}",
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},  # host's own kept
        "nftables": {"syncPeriod": "30s", "minSyncPeriod": "100ms"},
    }


def _cni_configuration(folders: Folders) -> dict[str, Any]:
    first = ipaddress.ip_network(cluster_layout.NODE_NETWORK)[2]
    return {
        "cniVersion": "0.4.0",
        "name": "headrace",
        "plugins": [
            {
                "type": "bridge",
                "bridge": cluster_layout.BRIDGE,
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(folders.root / "addresses"),
                    "ranges": [[{"subnet": cluster_layout.NODE_NETWORK, "rangeStart": str(first)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def daemons(folders: Folders, programs: Path) -> dict[str, Daemon]:
    """Every program by name, in the order in which they start."""
    commands = {
        "etcd": _etcd(folders),
        "kube-apiserver": _api_server(folders),
        "kube-controller-manager": _controller_manager(folders),
        "kube-scheduler": [
            f"--kubeconfig={folders.kubeconfigs / 'scheduler.conf'}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={cluster_layout.SCHEDULER_PORT}",
        ],
        "kubelet": [
            f"--config={folders.configuration / 'kubelet.json'}",
            f"--kubeconfig={folders.kubeconfigs / 'kubelet.conf'}",
            f"--hostname-override={cluster_layout.NODE}",
            f"--node-ip={cluster_layout.NODE_ADDRESS}",
            f"--root-dir={folders.kubelet}",
            f"--cert-dir={folders.kubelet / 'pki'}",
        ],
        "kube-proxy": [f"--config={folders.configuration / 'kube-proxy.json'}"],
        "kube-router": [
            f"--kubeconfig={folders.kubeconfigs / 'kube-router.conf'}",
            f"--hostname-override={cluster_layout.NODE}",
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            f"--service-cluster-ip-range={cluster_layout.SERVICE_NETWORK}",
            "--health-port=0",
            "--metrics-port=0",
        ],
    }
    small = {"GOGC": "50"}  # trades a little processor time for a third of the control plane's memory
    return {
        name: Daemon(
            name=name,
            command=[str(programs / name), *arguments],
            folder=folders.processes,
            environment={**small, "PATH": f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        for name, arguments in commands.items()
    }


def _etcd(folders: Folders) -> list[str]:
    certificates = folders.certificates / "etcd"
    return [
        f"--name={cluster_layout.NODE}",
        f"--data-dir={folders.root / 'etcd'}",
        f"--listen-client-urls=https://127.0.0.1:{cluster_layout.ETCD_PORT}",
        f"--advertise-client-urls=https://127.0.0.1:{cluster_layout.ETCD_PORT}",
        f"--listen-peer-urls=https://127.0.0.1:{cluster_layout.ETCD_PEER_PORT}",
        f"--initial-advertise-peer-urls=https://127.0.0.1:{cluster_layout.ETCD_PEER_PORT}",
        f"--initial-cluster={cluster_layout.NODE}=https://127.0.0.1:{cluster_layout.ETCD_PEER_PORT}",
        f"--cert-file={certificates / 'server.crt'}",
        f"--key-file={certificates / 'server.key'}",
        f"--trusted-ca-file={certificates / 'ca.crt'}",
        "--client-cert-auth=true",
        f"--peer-cert-file={certificates / 'peer.crt'}",
        f"--peer-key-file={certificates / 'peer.key'}",
        f"--peer-trusted-ca-file={certificates / 'ca.crt'}",
        "--peer-client-cert-auth=true",
        "--auto-compaction-retention=5m",
    ]


def _api_server(folders: Folders) -> list[str]:
    certificates = folders.certificates
    return [
        f"--advertise-address={cluster_layout.NODE_ADDRESS}",
        f"--bind-address={cluster_layout.NODE_ADDRESS}",
        f"--secure-port={cluster_layout.API_PORT}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={certificates / 'ca.crt'}",
        f"--tls-cert-file={certificates / 'apiserver.crt'}",
        f"--tls-private-key-file={certificates / 'apiserver.key'}",
        f"--etcd-servers=https://127.0.0.1:{cluster_layout.ETCD_PORT}",
        f"--etcd-cafile={certificates / 'etcd' / 'ca.crt'}",
        f"--etcd-certfile={certificates / 'apiserver-etcd-client.crt'}",
        f"--etcd-keyfile={certificates / 'apiserver-etcd-client.key'}",
        f"--kubelet-client-certificate={certificates / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={certificates / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--proxy-client-cert-file={certificates / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={certificates / 'front-proxy-client.key'}",
        f"--requestheader-client-ca-file={certificates / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={certificates / 'sa.pub'}",
        f"--service-account-signing-key-file={certificates / 'sa.key'}",
        f"--service-cluster-ip-range={cluster_layout.SERVICE_NETWORK}",
    ]


def _controller_manager(folders: Folders) -> list[str]:
    certificates = folders.certificates
    kubeconfig = folders.kubeconfigs / "controller-manager.conf"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={cluster_layout.CONTROLLER_MANAGER_PORT}",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={cluster_layout.POD_NETWORK}",
        f"--service-cluster-ip-range={cluster_layout.SERVICE_NETWORK}",
        f"--root-ca-file={certificates / 'ca.crt'}",
        f"--cluster-signing-cert-file={certificates / 'ca.crt'}",
        f"--cluster-signing-key-file={certificates / 'ca.key'}",
        f"--service-account-private-key-file={certificates / 'sa.key'}",
        "--use-service-account-credentials=true",
        # The default looks at a terminating namespace again after half of its pods' grace period, which is minutes.
        "--namespace-sync-period=5s",
    ]


def remove_leftovers(folders: Folders) -> None:
    """Removes what the kubelet and CNI plugins leave on the host outside the folders that they are given: links to our
    pods' logs, our pods' CNI results, the kubelet's cgroups, and folders left empty by that."""
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{folders.root}/"):
            link.unlink()
    for result in _CNI_RESULTS.glob("headrace-*"):
        result.unlink()
    for folder in (*_cgroups(), *_MAYBE_EMPTY):
        with suppress(OSError):  # it does not exist, or holds what another program made
            folder.rmdir()


def _cgroups() -> list[Path]:
    """The kubelet's cgroups, leaves first; the kernel keeps one that holds a process."""
    found = []
    for root in Path("/sys/fs/cgroup").glob("**/kubepods"):
        found += [path for path in (root, *root.rglob("*")) if path.is_dir()]
    return sorted(found, key=str, reverse=True)
