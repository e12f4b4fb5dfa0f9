"""Files out of Debian packages, without this machine's own packages being touched."""

import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images.commands import execute, require
from headrace.images.request import DEBIAN_RELEASES

RELEASE: Final = DEBIAN_RELEASES["3.11"]
"""What programs come from that do not depend on a version of Python."""

_ABSENT: Final = re.compile(r"^E: (?:Unable to locate package |Package ')([^\s']+)", re.MULTILINE)


def bootstrap(
    variant: str,
    packages: Sequence[str],
    archive: Path,
    options: Sequence[str] = (),
    *,
    release: str = RELEASE,
    remedy: str,
    log: Path,
) -> None:
    """Writes the packages of a Debian release, with all they need, as the tar archive `archive`.

    `variant` is mmdebstrap's: `essential` configures them on top of the essential packages, `extract` only unpacks.
    Raises PermanentError, which ends in `remedy`, where this machine cannot, and for packages that the release does not
    have; TemporaryError when the mirrors fail.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        here = f"{platform.system()} on {platform.machine()}"
        raise PermanentError(f"Debian packages are unpacked on Linux on x86-64 only, this is {here}; {remedy}")
    why = "Debian packages are unpacked with it"
    program = require("mmdebstrap", why=why, remedy=f"apt install mmdebstrap, or {remedy}")
    command = [*_own_mounts(), program, f"--variant={variant}", f"--include={','.join(packages)}", *options]
    command += [release, str(archive), *_mirrors(release)]
    status, output = execute(command, log=log, env={"SOURCE_DATE_EPOCH": "0", "TMPDIR": str(archive.parent)})
    if absent := sorted(set(_ABSENT.findall(output))):
        raise PermanentError(
            f"packages = {', '.join(absent)}, which Debian's release {release} does not have; give the names that "
            "packages.debian.org lists for it"
        )
    if status != 0:
        last = next((line for line in reversed(output.splitlines()) if line.startswith("E: ")), f"exit status {status}")
        raise TemporaryError(
            f"Debian packages could not be had, mmdebstrap says: {last.removeprefix('E: ')}; see {log}"
        )


def _mirrors(release: str) -> list[str]:
    """The machine's own sources of this Debian release, if it has any: they reach a mirror from here. Without any,
    mmdebstrap asks Debian's own mirrors, those with security updates too."""
    found = []
    for path in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        if path.suffix not in {".list", ".sources"} or not path.is_file():
            continue
        text = path.read_text("utf-8", errors="replace")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if lines and all(release in line for line in lines if line.startswith(("deb ", "Suites:"))):
            found.append(str(path))
    return found


def _own_mounts() -> list[str]:
    """Runs the rest of a command in a mount namespace of its own when this is root.

    mmdebstrap then mounts /proc and /sys below its directory, and must never leave them there for whoever cleans up
    after it was killed. For other users it makes namespaces itself.
    """
    return ["unshare", "--mount", "--propagation=private", "--"] if os.geteuid() == 0 else []
