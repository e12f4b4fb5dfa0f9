"""The embedded single-node Kubernetes: start, stop, status, reset.

Level-based: `start` compares what should run with what runs and starts the difference, so that calling it twice, or
after any part has crashed, ends in the same state.
"""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.local import addons, cluster_layout, containerd, node_network, node_programs
from headrace.local.cluster_layout import Folders
from headrace.local.processes import Daemon
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder, packages
from headrace.local.toolchain.programs import KUBERNETES

_FREE_BYTES: Final = 8 * 1024**3
"""Base image, one model environment, three images unpacked and the cluster's state took 4 GiB; twice that."""
_OWNER: Final = Path("/run/headrace-cluster.json")
"""Names the checkout whose cluster this machine runs: there is one bridge, so there is one cluster."""
_READY_SECONDS: Final = 120.0
_NO_PROGRAMS: Final = Path("/nonexistent")
"""Where programs are that are only looked for among the running ones."""


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """What runs of the embedded cluster."""

    running: tuple[str, ...]
    stopped: tuple[str, ...]
    ready: bool
    """Whether the API server answers and the node is Ready."""
    kubeconfig: str
    resident_bytes: int
    """Memory of the cluster's own programs, without pods (proc(5), VmRSS)."""


def start(progress: Progress) -> Path:
    """Starts the programs of the cluster that do not run, waits until pods can run, and returns the admin kubeconfig.

    Raises PermanentError when this machine cannot run the cluster (not root, port in use, disk too small, another
    checkout's cluster runs), TemporaryError with the end of a program's log when that program does not become ready.
    """
    folders = cluster_layout.folders()
    _check_machine(folders)
    packages.ensure(packages.CLUSTER_PACKAGES, progress)
    programs = builder.kubernetes(progress)
    with _owned(folders), progress.step("start Kubernetes"):
        for folder in (folders.configuration, folders.kubeconfigs, folders.processes):
            folder.mkdir(parents=True, exist_ok=True)
        daemons = node_programs.daemons(folders, programs)
        containers = containerd.daemon(folders)
        if not any(daemon.pid() for daemon in daemons.values()):
            check_ports()
        node_network.set_up(folders.root / "network-before.json")
        containerd.write_configuration(folders)
        containers.start()
        node_programs.write_certificates(folders, programs)
        node_programs.write_configuration(folders)
        node_programs.write_encryption(folders)
        for name in ("etcd", "kube-apiserver"):
            daemons[name].start()
        _wait("containerd", lambda: containerd.answers(folders), containers)
        containerd.import_system_images(folders, programs)
        kubectl = _kubectl(folders.kubeconfigs / "super-admin.conf", programs)
        _wait("kube-apiserver", lambda: kubectl("get", "--raw", "/readyz") == "ok", daemons["kube-apiserver"])
        folders.tables.mkdir(exist_ok=True)
        os.chown(folders.tables, names.RUN_AS_USER, names.RUN_AS_USER)
        applied = json.dumps({"apiVersion": "v1", "kind": "List", "items": addons.objects(folders.tables)})
        _wait("addons", lambda: kubectl("apply", "-f", "-", text=applied) is not None, daemons["kube-apiserver"])
        for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"):
            daemons[name].start()
        _wait("node", lambda: _node_ready(kubectl), daemons["kubelet"])
        daemons["kube-router"].start()  # it ends at once when its node is not registered yet
        replicas = ["-n", "kube-system", "get", "deployment", "coredns", "-o", "jsonpath={.status.readyReplicas}"]
        _wait("coredns", lambda: kubectl(*replicas) == "1", daemons["kubelet"])
        for daemon in daemons.values():
            if daemon.pid() is None:
                tail = daemon.tail()
                raise TemporaryError(f"{daemon.name} ended right after it had started; its last lines:\n{tail}")
    return folders.admin_kubeconfig


def stop() -> None:
    """Ends every process of the cluster and removes its mounts, namespaces, interface and rules; keeps its objects.

    Does nothing when the one cluster of this machine belongs to another checkout.
    """
    folders = cluster_layout.folders()
    if _OWNER.exists() and json.loads(_OWNER.read_text())["state"] != str(folders.root):
        return
    _clear(folders)
    _OWNER.unlink(missing_ok=True)
    _OWNER.with_suffix(".lock").unlink(missing_ok=True)


def _clear(folders: Folders) -> None:
    daemons = node_programs.daemons(folders, _NO_PROGRAMS).values()
    with ThreadPoolExecutor(len(daemons)) as pool:  # at once: etcd keeps its data in whatever order programs end
        list(pool.map(lambda daemon: daemon.stop(grace_seconds=5), daemons))
    containerd.remove_everything(folders)
    node_network.tear_down(folders.root / "network-before.json")
    node_programs.remove_leftovers(folders)


def reset() -> None:
    """Stops the cluster and forgets it: objects, images, certificates and logs."""
    folders = cluster_layout.folders()
    stop()
    shutil.rmtree(folders.root, ignore_errors=True)


def status() -> ClusterStatus:
    """Which programs run now, and whether the node is Ready."""
    folders = cluster_layout.folders()
    everything = {"containerd": containerd.daemon(folders), **node_programs.daemons(folders, _NO_PROGRAMS)}
    pids = {name: daemon.pid() for name, daemon in everything.items()}
    answers = pids["kube-apiserver"] is not None
    return ClusterStatus(
        running=tuple(name for name, pid in pids.items() if pid is not None),
        stopped=tuple(name for name, pid in pids.items() if pid is None),
        ready=answers and _node_ready(_kubectl(folders.admin_kubeconfig, builder.location(KUBERNETES))),
        kubeconfig=str(folders.admin_kubeconfig),
        resident_bytes=sum(_resident_bytes(pid) for pid in pids.values() if pid is not None),
    )


def _resident_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def _check_machine(folders: Folders) -> None:
    faults = []
    if os.geteuid() != 0:
        faults.append(
            f"user id = {os.geteuid()}, must be 0 to run the embedded cluster; run as root or set HEADRACE_KUBECONFIG"
        )
    free = shutil.disk_usage(folders.root.parent).free
    if free < _FREE_BYTES:
        faults.append(
            f"free disk at {folders.root.parent} = {free / 1024**3:.1f} GiB, must be at least "
            f"{_FREE_BYTES / 1024**3:.0f} GiB; free some or set HEADRACE_STATE to a larger disk"
        )
    if faults:
        raise PermanentError("; ".join(faults))


def check_ports() -> None:
    """Raises PermanentError that names every port of the cluster that another program listens on."""
    taken = []
    for owner, port in cluster_layout.PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.append(f"{port} ({owner})")
    if taken:
        raise PermanentError(
            f"ports in use: {', '.join(taken)}, must be free for the embedded cluster; end the programs that listen "
            "there (`ss -ltnp` names them) or set HEADRACE_KUBECONFIG"
        )


@contextmanager
def _owned(folders: Folders) -> Iterator[None]:
    """Holds the machine's one cluster for this checkout; clears what a dead cluster of another checkout left."""
    with _OWNER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _OWNER.exists():
            owner = Folders(Path(json.loads(_OWNER.read_text())["state"]))
            if owner.root != folders.root:
                daemons = node_programs.daemons(owner, _NO_PROGRAMS)
                alive = [name for name, daemon in daemons.items() if daemon.pid() is not None]
                if alive:
                    raise PermanentError(
                        f"another embedded cluster runs on this machine, with its state in {owner.root} "
                        f"({', '.join(alive)}), must be one at a time; run `make down` in that checkout"
                    )
                _clear(owner)
        folders.root.mkdir(parents=True, exist_ok=True)
        _OWNER.write_text(json.dumps({"state": str(folders.root)}))
        yield


def _kubectl(kubeconfig: Path, programs: Path) -> Callable[..., str | None]:
    """A function that runs `kubectl` and returns its output; None when it fails, because its callers try again."""

    def call(*arguments: str, text: str | None = None) -> str | None:
        command = [str(programs / "kubectl"), "--kubeconfig", str(kubeconfig), "--request-timeout=10s", *arguments]
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=30)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 else None

    return call


def _node_ready(kubectl: Callable[..., str | None]) -> bool:
    condition = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return kubectl("get", "node", cluster_layout.NODE, "-o", condition) == "True"


def _wait(what: str, holds: Callable[[], bool], daemon: Daemon) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not holds():
        if daemon.pid() is None:
            raise TemporaryError(f"{daemon.name} ended before {what} was ready; its last lines:\n{daemon.tail()}")
        if time.monotonic() > deadline:
            raise TemporaryError(
                f"{what} was not ready after {_READY_SECONDS:.0f} s; the last lines of {daemon.log}:\n{daemon.tail()}"
            )
        time.sleep(0.2)
