"""CPU time and memory of processes, by thread, as the kernel counts them."""

import os
from pathlib import Path


def cpu_by_thread(pid: int) -> dict[tuple[int, str], int]:
    """Nanoseconds on a core, by thread's number and name."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[int(task.name), (task / "comm").read_text().strip()] = int(
                (task / "schedstat").read_text().split()[0]
            )
        except OSError:
            continue
    return found


def resident_mebibytes(pid: int) -> float:
    """Memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
