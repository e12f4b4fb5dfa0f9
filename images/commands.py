"""Running the programs the builder leans on, with their output in the build log."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.contract.errors import PermanentError
from headrace.images.credentials import scrub


def require(program: str, *, why: str, remedy: str) -> str:
    """Path of a program; raises PermanentError saying what it is for and how to get it."""
    found = shutil.which(program)
    if found is None:
        raise PermanentError(f"The program {program!r} is not on PATH, and {why}; {remedy}")
    return found


def execute(
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_seconds: float = 1800,
    hidden: Sequence[str] = (),
) -> tuple[int, str]:
    """Runs a program to its end; returns its exit status and what it wrote to standard error and output, which is
    logged.

    `env` adds to this process's environment. A program that is still running after `timeout_seconds` is killed and
    counts as failed with status 124. What is `hidden` is in neither the log nor the answer.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            timeout=timeout_seconds,
            check=False,
        )
        status, output = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        status = 124
        output = (error.stdout or b"").decode(errors="replace") + f"\nkilled after {timeout_seconds:.0f} seconds"
    output = scrub(output, hidden)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n{output}\n[exit status {status}]\n")
    return status, output
