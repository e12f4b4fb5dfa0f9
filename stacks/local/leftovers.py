"""Traces that a kubelet and a CNI plugin leave at fixed places of the machine, outside every folder we chose."""

from pathlib import Path
from typing import Final

from headrace.stacks.local.layout import Folders

_LOG_LINKS: Final = Path("/var/log/containers")
_CNI_RESULTS: Final = Path("/var/lib/cni/results")
_MAYBE_EMPTY: Final = (
    Path("/var/lib/kubelet/device-plugins"),
    Path("/var/lib/kubelet"),
    _LOG_LINKS,
    _CNI_RESULTS,
    Path("/var/lib/cni"),
)


def remove(folders: Folders) -> None:
    """Removes links to our pods' logs, our pods' CNI results, the kubelet's cgroups, and folders left empty by that."""
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{folders.root}/"):
            link.unlink()
    for result in _CNI_RESULTS.glob("headrace-*"):
        result.unlink()
    for folder in (*_cgroups(), *_MAYBE_EMPTY):
        try:
            folder.rmdir()
        except OSError:
            continue  # not there, or somebody else's things are in it


def _cgroups() -> list[Path]:
    """The kubelet's cgroups, leaves first; one that still holds a process refuses to go."""
    found = []
    for root in Path("/sys/fs/cgroup").glob("**/kubepods"):
        found += [path for path in (root, *root.rglob("*")) if path.is_dir()]
    return sorted(found, key=str, reverse=True)
