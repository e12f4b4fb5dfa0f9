"""TargetCluster: where `make demo` deploys to: the cluster that the user names, a kind cluster, or the embedded one."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace.contract.errors import PermanentError
from headrace.local import cluster, cluster_layout
from headrace.local.paths import state_directory
from headrace.local.terminal_progress import Progress

_KIND_CLUSTER: Final = "headrace"


@dataclass(frozen=True, kw_only=True)
class TargetCluster:
    """A cluster, how images reach its nodes, and the address at which its NodePorts answer."""

    kubeconfig: Path
    image_delivery: dict[str, Any]
    host: str
    """Empty when the first node's internal address is to be used."""
    embedded: bool = False


def embedded_wanted() -> bool:
    """Whether the embedded cluster is used: no kubeconfig is named, and kind does not work here."""
    return not os.environ.get("HEADRACE_KUBECONFIG") and not _kind_works()


def ensure(progress: Progress) -> TargetCluster:
    """The target cluster. A kind cluster or the embedded one is created or started when it does not run.

    Raises PermanentError when HEADRACE_KUBECONFIG names no file, or HEADRACE_IMAGE_DELIVERY does not say how images
    reach the nodes of the named cluster.
    """
    named = os.environ.get("HEADRACE_KUBECONFIG")
    if named:
        return _named(named)
    if _kind_works():
        return _kind(progress)
    kubeconfig = cluster.start(progress)
    socket = cluster_layout.folders().containerd_socket
    delivery = {"kind": "containerd", "address": str(socket)}
    return TargetCluster(
        kubeconfig=kubeconfig, image_delivery=delivery, host=cluster_layout.NODE_ADDRESS, embedded=True
    )


def _named(kubeconfig: str) -> TargetCluster:
    delivery = os.environ.get("HEADRACE_IMAGE_DELIVERY")
    faults = []
    if not Path(kubeconfig).is_file():
        faults.append(f"HEADRACE_KUBECONFIG = {kubeconfig}, must be a file; name an existing kubeconfig or unset it")
    try:
        parsed = json.loads(delivery) if delivery else None
    except json.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        example = '{"kind": "registry", "repository": "registry.example.com/models"}'
        faults.append(
            f"HEADRACE_IMAGE_DELIVERY = {delivery!r}, must be JSON that says how images reach the nodes of the cluster "
            f"you named; set it to something like {example}"
        )
    if faults:
        raise PermanentError("; ".join(faults))
    assert isinstance(parsed, dict)
    host = os.environ.get("HEADRACE_HOST", "")
    return TargetCluster(kubeconfig=Path(kubeconfig).absolute(), image_delivery=parsed, host=host)


def _kind_works() -> bool:
    if shutil.which("kind") is None or shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _kind(progress: Progress) -> TargetCluster:
    listed = subprocess.run(["kind", "get", "clusters"], capture_output=True, text=True, check=False)
    if _KIND_CLUSTER not in listed.stdout.split():
        with progress.step("create a kind cluster"):
            create = ["kind", "create", "cluster", "--name", _KIND_CLUSTER]
            made = subprocess.run(create, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise PermanentError(
                f"`kind create cluster` failed: {made.stderr.strip()[-400:]}; fix kind or unset it on PATH"
            )
    show = ["kind", "get", "kubeconfig", "--name", _KIND_CLUSTER]
    shown = subprocess.run(show, capture_output=True, text=True, check=True)
    kubeconfig = state_directory() / "kind.kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(shown.stdout)
    return TargetCluster(kubeconfig=kubeconfig, image_delivery={"kind": "kind", "cluster": _KIND_CLUSTER}, host="")


def remove(target_kubeconfig: Path) -> None:
    """Removes the kind cluster that `ensure` created; a cluster that the user named is left as it is."""
    if target_kubeconfig == state_directory() / "kind.kubeconfig" and shutil.which("kind") is not None:
        subprocess.run(["kind", "delete", "cluster", "--name", _KIND_CLUSTER], capture_output=True, check=False)
