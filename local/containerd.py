"""The cluster's own containerd: its configuration, the images that it starts with, and its complete removal."""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from headrace.contract.errors import TemporaryError
from headrace.images.oci import write_archive, write_image
from headrace.images.store import Store
from headrace.images.tarball import Entry, write_layer
from headrace.local import cluster_layout
from headrace.local.cluster_layout import Folders
from headrace.local.processes import Daemon, end

NAMESPACE: Final = "k8s.io"
PAUSE_IMAGE: Final = "headrace.local/pause:1"
DNS_IMAGE: Final = "headrace.local/coredns:1.14.0"


def write_configuration(folders: Folders) -> None:
    """containerd's configuration: root, state and socket of its own, so that the machine's containerd is left alone."""
    cri = {
        "sandbox_image": PAUSE_IMAGE,
        # without it no pod starts on hosts that lack CAP_SYS_RESOURCE
        "restrict_oom_score_adj": True,
        "max_container_log_line_size": 262144,
    }
    lines = [
        "version = 2",
        f'root = "{folders.containerd / "root"}"',
        f'state = "{folders.containerd / "state"}"',
        "[grpc]",
        f'  address = "{folders.containerd_socket}"',
        "[ttrpc]",
        f'  address = "{folders.containerd_socket}.ttrpc"',
        '[plugins."io.containerd.grpc.v1.cri"]',
        *(f"  {name} = {json.dumps(value)}" for name, value in cri.items()),
        '[plugins."io.containerd.grpc.v1.cri".cni]',
        '  bin_dir = "/usr/lib/cni"',
        f'  conf_dir = "{folders.configuration / "cni"}"',
        '[plugins."io.containerd.internal.v1.opt"]',
        f'  path = "{folders.containerd / "opt"}"',
    ]
    folders.containerd.mkdir(parents=True, exist_ok=True)
    (folders.configuration / "containerd.toml").write_text("\n".join(lines) + "\n")


def daemon(folders: Folders) -> Daemon:
    """containerd itself."""
    command = ["containerd", "--config", str(folders.configuration / "containerd.toml")]
    return Daemon(name="containerd", command=command, folder=folders.processes, environment={"GOGC": "50"})


def ctr(folders: Folders, *arguments: str, check: bool = True) -> str:
    """Output of `ctr` on the cluster's containerd, in the kubelet's namespace."""
    command = ["ctr", "--address", str(folders.containerd_socket), "--namespace", NAMESPACE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if check and done.returncode != 0:
        raise TemporaryError(f"`ctr {' '.join(arguments)}` ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


def answers(folders: Folders) -> bool:
    """Whether containerd serves its socket."""
    try:
        ctr(folders, "version")
    except (TemporaryError, subprocess.TimeoutExpired, FileNotFoundError):
        return False
    return True


def import_system_images(folders: Folders, programs: Path) -> None:
    """Puts the pause and CoreDNS images, each one static program and nothing else, where the kubelet finds them."""
    present = set(ctr(folders, "images", "list", "-q").split())
    for reference, program in ((PAUSE_IMAGE, "pause"), (DNS_IMAGE, "coredns")):
        if reference in present:
            continue
        with tempfile.TemporaryDirectory(dir=folders.root) as scratch:
            store, archive = Store(Path(scratch)), Path(scratch, "image.tar")
            layer = write_layer(store, [Entry(path=program, mode=0o755, source=programs / program)])
            image = write_image(store, [layer], entrypoint=[f"/{program}"], environment={}, labels={})
            write_archive(store, image, [reference], archive)
            ctr(folders, "images", "import", str(archive))


def remove_everything(folders: Folders) -> None:
    """Ends all containers, shims and containerd; unmounts all below the state folder; removes pods' network namespaces.

    It works when containerd has crashed, too: processes, mounts and namespaces are read from the kernel.
    """
    containers = daemon(folders)
    if containers.pid() is not None:
        for task in ctr(folders, "tasks", "list", "-q", check=False).split():
            ctr(folders, "tasks", "kill", "--all", "--signal", "SIGKILL", task, check=False)
            ctr(folders, "tasks", "delete", "--force", task, check=False)
    for pid in _shims(folders):
        for child in _children(pid):
            end(child, grace_seconds=0)
        end(pid, grace_seconds=1)
    containers.stop()
    for mount in _mounts_below(folders.root):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    for name in _pod_namespaces():
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _shims(folders: Folders) -> list[int]:
    """Process ids of the shims of this containerd, whose socket their command line names."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue  # ended meanwhile
        if b"containerd-shim" in words[0] and str(folders.containerd_socket).encode() in words:
            found.append(int(path.parent.name))
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _mounts_below(folder: Path) -> list[str]:
    """Mount points below a folder, innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    below = [re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point) for point in points]
    return sorted((point for point in below if point.startswith(f"{folder}/")), key=len, reverse=True)


def _pod_namespaces() -> list[str]:
    """Network namespaces that the CRI plugin made for pods on our bridge's network."""
    prefix = cluster_layout.NODE_NETWORK.rpartition(".")[0] + "."
    found = []
    for path in Path("/run/netns").glob("cni-*"):
        command = ["ip", "-n", path.name, "-4", "-o", "addr", "show", "dev", "eth0"]
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        if shown.returncode != 0 or f" {prefix}" in shown.stdout:
            found.append(path.name)
    return found
