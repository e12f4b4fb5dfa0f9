"""`python -m bench.path.instructions`: instructions a request in the PopProxy's thread, part by part.

Counted by callgrind (Debian's valgrind), which other work on the machine does not disturb as it does CPU time. Envoy is
some fifty times slower under it, so this is no benchmark; it says where to look. `--part WORDS` counts fewer.
"""

import argparse
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.path import chains, cost, pods
from bench.path.chains import Chain
from bench.path.parts import CHANGES

BARE: Final = "a bare Envoy"
SECONDS: Final = 5.0


def main() -> None:
    """Counts and prints a table."""
    parser = argparse.ArgumentParser(prog="bench.path.instructions")
    parser.add_argument("--part", action="append", choices=[*CHANGES, BARE], help="only this")
    wanted = parser.parse_args().part or [BARE, *CHANGES]
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is missing, which counts; install Debian package valgrind")
    with tempfile.TemporaryDirectory() as temporary, pods.responder() as pod:
        for at, part in enumerate(wanted):
            folder = Path(temporary) / str(at)
            folder.mkdir()
            print(f"{part:50} {_counted(part, folder, pod):9.0f}", flush=True)


def _counted(part: str, folder: Path, pod: int) -> float:
    """Instructions a request of the first hop's only worker, less those that it spends on nothing."""
    command = folder / "envoy"
    options = "--tool=callgrind --instr-atstart=no --separate-threads=yes"
    command.write_text(
        f"#!/bin/sh\nexec valgrind {options} --callgrind-out-file={folder}/out.%p --log-file={folder}/log.%p "
        f'{chains.envoy()} "$@"\n'
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    with chains.first_envoy_is(str(command)):
        if part == BARE:
            headers = {"Content-Type": "application/json", "Authorization": "Bearer " + "x" * 600}
            chain = chains.bare_envoys(folder / "chain", pod, headers, threads=1)
        else:
            chain = chains.product(folder / "chain", (pod,), change=CHANGES[part], threads=1)
    try:
        return _steady(chain, folder)
    finally:
        chain.stop()


def _steady(chain: Chain, folder: Path) -> float:
    pid = next(iter(chain.hops.values()))
    cost.load(chain, connections=2, seconds=1.0)
    _control(pid, "-i", "on")
    cost.load(chain, connections=2, seconds=1.0)
    began = time.monotonic()
    _control(pid, "-z")
    time.sleep(3)
    idle = _worker(pid, folder) / (time.monotonic() - began)

    def begins() -> None:
        nonlocal began
        _control(pid, "-z")
        began = time.monotonic()

    turn = cost.load(chain, connections=2, seconds=SECONDS, begins=begins)
    elapsed = time.monotonic() - began
    return (_worker(pid, folder) - idle * elapsed) / turn.answered


def _control(pid: int, *arguments: str) -> None:
    subprocess.run(
        ["callgrind_control", *arguments, str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )


def _worker(pid: int, folder: Path) -> int:
    """Instructions of the thread that had most, since the counters were zeroed; zeroes them."""
    for file in folder.glob(f"out.{pid}*"):
        file.unlink()
    _control(pid, "-d")
    time.sleep(0.5)
    found = [re.search(r"^(?:totals|summary): (\d+)", file.read_text(), re.M) for file in folder.glob(f"out.{pid}.*")]
    return max(int(match[1]) for match in found if match)


if __name__ == "__main__":
    main()
