"""Downloads what a program's publisher releases, checked against the checksum beside it; else it is built.

`HEADRACE_DOWNLOAD_MIRROR` is the address of a mirror, which has each file at MIRROR/HOST/PATH of its own address, or
`off`. A host that does not answer within seconds is asked once, and what it has is built from its Go modules.
"""

import hashlib
import http.client
import os
import re
import shutil
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from headrace.contract.errors import PermanentError
from headrace.images.architecture import of_this_machine
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain.programs import Program, ReleasedFile

MIRROR_VARIABLE: Final = "HEADRACE_DOWNLOAD_MIRROR"
_OFF: Final = "off"
_PROBE_SECONDS: Final = 4.0
"""For name, connection and answer of the first request: a machine without a way out is not to wait for it."""
_STALLED_SECONDS: Final = 30.0
_LOOPBACK: Final = frozenset(("127.0.0.1", "::1", "localhost"))
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
_NODE_NAMES: Final = {"amd64": "x64"}
_ANSWERING: Final[dict[str, bool]] = {}
"""By host and port, what its probe told this process."""
_FAILURES: Final = (OSError, http.client.HTTPException)


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A released file that its host has, with the checksum that it must have."""

    file: ReleasedFile
    address: str
    sha256: str

    @property
    def host(self) -> str:
        """Who has it, for people."""
        return urlsplit(self.address).netloc


def offers(program: Program, progress: Progress) -> list[Offer]:
    """All released files of the program, where their host has them; none where it lacks one, or does not answer.

    Raises PermanentError for a mirror that is no address, or where nobody vouches for the checksums.
    """
    mirror = _mirror()
    if not program.released or mirror == _OFF or sys.platform != "linux":
        return []
    found = []
    for file in program.released:
        address, sums = (_placed(text, mirror) for text in (file.address, file.checksums))
        pinned = file.sha256.get(of_this_machine())
        digest = pinned if pinned else _published(sums, address.rpartition("/")[2])
        if digest is None or not _answering(address):
            told = f"{program.name} {program.version}: {urlsplit(address).netloc} does not have it or does not answer"
            progress.note(f"{told}, so it is built")
            return []
        found.append(Offer(file=file, address=address, sha256=digest))
    return found


def fetch(offered: Sequence[Offer], folder: Path, archives: Path) -> None:
    """Fills the folder with the executables of these files; archives, which several programs share, stay in `archives`.

    Raises OSError where the host ends the answer early, and PermanentError for a file that has another checksum or
    lacks an executable.
    """
    for offer in offered:
        held = archives / offer.sha256
        if not held.exists():
            archives.mkdir(parents=True, exist_ok=True)
            _download(offer, held)
        if offer.file.executables:
            _extract(offer, held, folder)
        else:
            target = folder / offer.address.rpartition("/")[2]
            held.rename(target)
            target.chmod(0o755)


def _mirror() -> str:
    given = os.environ.get(MIRROR_VARIABLE, "").rstrip("/")
    if given in {"", _OFF}:
        return given
    parts = urlsplit(given)
    is_own = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or is_own):
        raise PermanentError(
            f"{MIRROR_VARIABLE} = {given!r}, must be an https:// address, because checksums come from there too, or "
            "http:// on this machine; give one, or off"
        )
    return given


def _placed(template: str, mirror: str) -> str:
    """Where a file of this machine's architecture is."""
    arch = of_this_machine().value
    address = template.format(arch=arch, node_arch=_NODE_NAMES.get(arch, arch))
    return f"{mirror}/{address.removeprefix('https://')}" if mirror else address


@cache
def _published(address: str, name: str) -> str | None:
    """The SHA-256 of that name in the file of checksums; None where there is none, or its host does not answer."""
    if not _answering(address):
        return None
    try:
        with urllib.request.urlopen(address, timeout=_STALLED_SECONDS) as answer:
            lines: list[str] = answer.read().decode("utf-8", "replace").splitlines()
    except _FAILURES:
        return None
    for line in lines:
        digest, _, of = line.strip().partition(" ")
        if _DIGEST.fullmatch(digest) and of.strip().lstrip("*") in {"", name}:
            return digest.lower()
    return None


def _answering(address: str) -> bool:
    host = urlsplit(address).netloc
    if host not in _ANSWERING:
        _ANSWERING[host] = _answers(address)
    return _ANSWERING[host]


def _answers(address: str) -> bool:
    """Whether its host answers soon, whatever it answers; looking up its name has no time limit of its own."""
    heard = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=_PROBE_SECONDS):
                heard.set()
        except urllib.error.HTTPError:
            heard.set()
        except _FAILURES:
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PROBE_SECONDS)
    return heard.is_set()


def _download(offer: Offer, target: Path) -> None:
    partial = target.with_name(f"{target.name}.{os.getpid()}")  # of this process: another may want the same archive
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(offer.address, timeout=_STALLED_SECONDS) as answer, partial.open("wb") as file:
            while chunk := answer.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
            if answer.length:
                raise OSError(f"{offer.address} ended {answer.length} bytes early")
        if digest.hexdigest() != offer.sha256:
            raise PermanentError(
                f"{offer.address} has the SHA-256 {digest.hexdigest()}, must have {offer.sha256}; ask whoever runs "
                f"{offer.host} why, or set {MIRROR_VARIABLE}=off to build it"
            )
        partial.rename(target)
    except http.client.HTTPException as error:
        raise OSError(f"{offer.address} ended early ({error!r})") from error
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _extract(offer: Offer, archive: Path, folder: Path) -> None:
    wanted = set(offer.file.executables)
    with tarfile.open(archive) as opened:
        for member in opened:
            name = member.name.rpartition("/")[2]
            content = opened.extractfile(member) if member.isfile() and name in wanted else None
            if content is not None:
                with (folder / name).open("wb") as file:
                    shutil.copyfileobj(content, file)
                (folder / name).chmod(0o755)
                wanted.discard(name)
    if wanted:
        raise PermanentError(
            f"{offer.address} lacks {', '.join(sorted(wanted))}, must hold all that it was released with; set "
            f"{MIRROR_VARIABLE}=off to build it"
        )


def cost(program: Program, offered: Sequence[Offer], seconds: float) -> Mapping[str, object]:
    """What stands in build.json of a program that was downloaded."""
    return {
        "program": program.name,
        "version": program.version,
        "wall_seconds": round(seconds, 1),
        "cpu_seconds": 0.0,
        "downloaded": [offer.address for offer in offered],
    }
