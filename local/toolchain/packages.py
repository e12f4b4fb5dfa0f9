"""Debian packages that the embedded cluster needs, installed only when a command they bring is missing."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.local.terminal_progress import Progress


@dataclass(frozen=True, kw_only=True)
class DebianPackage:
    """One package, how to see that it is there, and why it is wanted."""

    name: str
    command: str
    """An absolute path or a command on PATH that the package brings."""
    reason: str


CLUSTER_PACKAGES: Final = (
    DebianPackage(name="containerd", command="containerd", reason="runs the pods"),
    DebianPackage(name="runc", command="runc", reason="starts containers for containerd"),
    DebianPackage(name="containernetworking-plugins", command="/usr/lib/cni/bridge", reason="gives pods addresses"),
    DebianPackage(name="iptables", command="iptables", reason="NetworkPolicy rules"),
    DebianPackage(name="ipset", command="ipset", reason="NetworkPolicy address sets"),
    DebianPackage(name="nftables", command="nft", reason="Service addresses"),
    DebianPackage(name="conntrack", command="conntrack", reason="Service addresses"),
    DebianPackage(name="iproute2", command="ip", reason="the pods' bridge"),
    DebianPackage(name="mmdebstrap", command="mmdebstrap", reason="makes the base image without a registry"),
)
REGISTRY_PACKAGE: Final = DebianPackage(name="skopeo", command="skopeo", reason="pushes images to registries")


def present(package: DebianPackage) -> bool:
    """Whether the package's command can be run."""
    return shutil.which(package.command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def ensure(packages: Sequence[DebianPackage], progress: Progress) -> None:
    """Installs what is missing, after one message that says which and why.

    Raises PermanentError when packages are missing and this is not Debian or not root, TemporaryError when
    the package manager fails.
    """
    missing = [package for package in packages if not present(package)]
    if not missing:
        return
    names = [package.name for package in missing]
    reasons = ", ".join(f"{package.name} ({package.reason})" for package in missing)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise PermanentError(
            f"Debian packages {names} are missing and this user cannot install them; run as root on Debian, install "
            "them yourself, or set HEADRACE_KUBECONFIG to use a cluster you have"
        )
    progress.note(f"Installing Debian packages: {reasons}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names]
    for command in (["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            tail = " ".join((done.stderr or done.stdout).split()[-60:])
            raise TemporaryError(
                f"`{' '.join(command)}` ended with {done.returncode}: {tail}; run it by hand to see why"
            )
