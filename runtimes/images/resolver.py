"""Python packages for the pod's platform, resolved and installed by uv on whatever machine this is."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uv

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.runtimes.images.commands import execute

_NETWORK: Final = re.compile(
    r"failed to fetch|error sending request|dns error|connection (refused|reset)|timed? ?out|network is unreachable"
    r"|status code: (408|429|5\d\d)|HTTP status (server error|code 5)",
    re.IGNORECASE,
)


def resolve(
    requirements: Sequence[str],
    *,
    constraints: Sequence[str],
    pins: Sequence[str],
    python: str,
    platform: str,
    scratch: Path,
    log: Path,
) -> str:
    """The requirements as a lock with hashes: every package, its exact version and its files' digests.

    `python` is a minor version, `platform` as uv names them. `pins` (`name==version`) are preferred where they satisfy
    the requirements. Raises PermanentError with the resolver's own message when there is no solution, TemporaryError
    when the index cannot be reached.
    """
    (scratch / "requirements.txt").write_text("\n".join(requirements) + "\n")
    (scratch / "constraints.txt").write_text(
        "\n".join(constraints) + "\n"
    )  # requirements may name it: `-c constraints.txt`
    lock = scratch / "environment.lock"
    if pins:
        lock.write_text("\n".join(pins) + "\n")  # uv prefers the versions it finds in its output file
    status, output = _uv(
        "pip",
        "compile",
        str(scratch / "requirements.txt"),
        f"--constraints={scratch / 'constraints.txt'}",
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
        f"--python-version={python}",
        f"--python-platform={platform}",
        f"--output-file={lock}",
        "--quiet",
        log=log,
    )
    if status != 0:
        _fail(
            "The model's requirements cannot be resolved",
            output,
            target=f"Python {python} on {platform}",
            scratch=scratch,
        )
    return lock.read_text()


def install(
    lock: str, target: Path, *, python: str, platform: str, scratch: Path, hashes_required: bool, log: Path
) -> None:
    """Installs exactly the lock's packages into the empty directory `target`."""
    path = scratch / "install.lock"
    path.write_text(lock)
    status, output = _uv(
        "pip",
        "install",
        "--no-deps",
        *(["--require-hashes"] if hashes_required else ["--verify-hashes"]),
        f"--requirements={path}",
        f"--target={target}",
        f"--python-version={python}",
        f"--python-platform={platform}",
        "--link-mode=hardlink",
        "--no-progress",
        log=log,
    )
    if status != 0:
        _fail("Packages cannot be installed", output, target=f"Python {python} on {platform}", scratch=scratch)
    (target / ".lock").unlink(missing_ok=True)


def pins_of(lock: str) -> tuple[str, ...]:
    """The `name==version` of every package in a lock, without hashes and markers."""
    found = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*==[^\s;\\]+)", lock, flags=re.MULTILINE)
    return tuple(sorted(found))


def _uv(*arguments: str, log: Path) -> tuple[int, str]:
    program = shutil.which("uv") or uv.find_uv_bin()
    return execute([program, *arguments, "--color=never"], log=log)


def _fail(what: str, output: str, *, target: str, scratch: Path) -> None:
    """Raises with what uv said, which names the packages at odds; paths of the scratch directory say nothing."""
    said = output.replace(f"{scratch}/", "").strip()
    sentence = f"{what} for {target}; uv says:\n{said}"
    if _NETWORK.search(said):
        raise TemporaryError(sentence)
    raise PermanentError(sentence)
