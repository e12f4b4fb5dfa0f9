"""Folders of the embedded default: a cache, which may be deleted at any time, and the state of one cluster.

`HEADRACE_CACHE` (default `~/.cache/headrace`) holds what was built, keyed by content, shared by every checkout.
`HEADRACE_STATE` (default `.headrace` in the checkout) holds the cluster, the model registry and the Pulumi state. When
the checkout's path is too long for sockets below it, the default is `/var/tmp/headrace-<digest of the path>`.
"""

import hashlib
import os
from pathlib import Path

from headrace.contract.errors import PermanentError

CHECKOUT = Path(__file__).resolve().parents[1]
"""Root of the source tree: the Pulumi project."""

_LONGEST_SOCKET_PATH = 107  # sockaddr_un.sun_path is 108 bytes with its NUL (unix(7))


def cache_directory() -> Path:
    """Directory of built programs and images; created when missing."""
    path = Path(os.environ.get("HEADRACE_CACHE") or Path.home() / ".cache" / "headrace")
    path.mkdir(parents=True, exist_ok=True)
    return path


def state_directory() -> Path:
    """Directory of everything that runs; created when missing, and closed to other users of the machine.

    Raises PermanentError when sockets below it would have paths longer than Linux allows, or when somebody else made
    the default one, which may lie where everybody can write.
    """
    path = Path(os.environ.get("HEADRACE_STATE") or default_state(CHECKOUT)).absolute()
    if not _fits(path):
        raise PermanentError(
            f"HEADRACE_STATE = {path}, {len(str(path))} characters, makes socket paths longer than "
            f"{_LONGEST_SOCKET_PATH}; set HEADRACE_STATE to a shorter directory"
        )
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = path.lstat().st_uid
    if not os.environ.get("HEADRACE_STATE") and owner not in {os.geteuid(), CHECKOUT.stat().st_uid}:
        raise PermanentError(
            f"the state folder {path} belongs to the user {owner}, must belong to you; remove it, or "
            "set HEADRACE_STATE to another directory"
        )
    private_directory(path)
    return path


def private_directory(path: Path) -> None:
    """Makes a directory that only its owner can enter, or closes one that is there: it holds keys and passwords."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_mode & 0o077 and os.geteuid() in {0, found.st_uid}:
        path.chmod(0o700)


def default_state(checkout: Path) -> Path:
    """The state folder of a checkout when HEADRACE_STATE is not set."""
    beside = checkout / ".headrace"
    return (
        beside if _fits(beside) else Path(f"/var/tmp/headrace-{hashlib.sha256(str(checkout).encode()).hexdigest()[:8]}")
    )


def _fits(state: Path) -> bool:
    return len(str(state / "cluster" / "containerd" / "containerd.sock.ttrpc")) <= _LONGEST_SOCKET_PATH
