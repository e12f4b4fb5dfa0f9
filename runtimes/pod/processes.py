"""What the kernel tells about a process of the pod, and what follows from it. The rules are pure; reading is not."""

import ctypes
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SILENT_SECONDS = 5.0
"""A ready worker beats every second; one that misses five beats and uses no CPU is hung."""
SILENT_LOADING_SECONDS = 60.0
"""While it loads, a worker may block on a slow disk with the interpreter's lock held."""
LEAK_FACTOR = 2.0
LEAK_BYTES = 512 * 1024 * 1024
"""Without a memory limit, a worker is replaced once it holds twice what it held after warm-up, and this much more."""
FULL_SHARE = 0.85
"""With a memory limit, the largest worker is replaced once the pod uses this share of it and the worker has grown."""
GROWN_FACTOR = 1.2
WORKERS_SHARE = 0.8
"""Share of the memory limit that workers may be planned for."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """What was seen of a process at one time."""

    time: float
    cpu_seconds: float
    stopped: bool


@dataclass(frozen=True, slots=True)
class CpuPressure:
    """What a process has had of the cores, and what it wants."""

    cpu_seconds: float
    starved_seconds: float
    """Time in which its threads were ready to run and had no core, as far as it is over."""
    ready: bool
    """Whether one of its threads runs now, or would if it had a core."""


def cpu_clock(pid: int) -> int:
    """The kernel's number for "CPU time of that process" (clock_getcpuclockid(3), which Python does not export)."""
    return (~pid << 3) | 2


def cpu_seconds(pid: int) -> float | None:
    """CPU time of a process and its threads; None when it is gone."""
    try:
        return time.clock_gettime(cpu_clock(pid))
    except OSError:
        return None


def started(pid: int) -> float | None:
    """When a process started, in monotonic seconds, to a hundredth; None when it is gone."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None
    since = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - since


def cpu_pressure(pid: int) -> CpuPressure | None:
    """How much of a core a process uses and wants; None when it is gone.

    Of its 16 oldest threads: whether a model computes shows in the first ones, and each has two files to read.
    """
    used = cpu_seconds(pid)
    if used is None:
        return None
    waited, ready = 0, False
    try:
        for thread in os.listdir(f"/proc/{pid}/task")[:16]:
            task = Path(f"/proc/{pid}/task/{thread}")
            waited += int((task / "schedstat").read_text().split()[1])
            ready = ready or (task / "stat").read_text().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError, ValueError):  # a thread that ended meanwhile, a kernel without the file
        return CpuPressure(used, 0.0, False)
    return CpuPressure(used, waited / 1e9, ready)


def resident_bytes(pid: int) -> int:
    """Memory a process holds; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def sample(pid: int) -> ProcessSample | None:
    """Looks at a process; None when it is gone."""
    cpu = cpu_seconds(pid)
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return None
    return None if cpu is None else ProcessSample(time.monotonic(), cpu, state in ("T", "t"))


def hung(last_beat: float, before: ProcessSample, now: ProcessSample, *, ready: bool) -> bool:
    """Whether a process that does not beat has stopped rather than being busy.

    One that something has stopped (SIGSTOP, a debugger) goes on when that pleases: two looks in a row tell, unless it
    has beaten between them.
    """
    if before.stopped and now.stopped and last_beat < before.time:
        return True
    patience = SILENT_SECONDS if ready else SILENT_LOADING_SECONDS
    if now.time - last_beat < patience:
        return False
    return now.stopped or now.cpu_seconds - before.cpu_seconds < 0.01


def overgrown(resident: int, after_warm_up: int, memory_ratio: float | None) -> bool:
    """Whether a worker has grown so much that it should be replaced."""
    if memory_ratio is not None:
        return memory_ratio > FULL_SHARE and resident > GROWN_FACTOR * after_warm_up
    return resident > LEAK_FACTOR * after_warm_up + LEAK_BYTES


def affordable(wanted: int, one_bytes: int, memory_bytes: int | None) -> int:
    """Workers of that size which the memory limit has room for, at least one."""
    if memory_bytes is None or one_bytes <= 0:
        return wanted
    return max(1, min(wanted, int(WORKERS_SHARE * memory_bytes / one_bytes)))


_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def withhold() -> None:
    """Keeps other processes of this user from tracing this one, and from reading its memory and environment.

    What it forks inherits that; what is executed does not.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


def environment(base: dict[str, str], *, threads: int, home: Path, programs: Path | None = None) -> dict[str, str]:
    """A worker's environment: the pod's, without our packages, with numeric libraries kept to the worker's share.

    Left alone, each library of each worker starts a thread for every core of the node and they fight. What the
    deployer set stays. Programs in the folder `programs` are found before others, as in an environment that MLflow
    has activated: a model may start those that its packages or conda brought.
    """
    made = {key: value for key, value in base.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    for name in THREAD_VARIABLES:
        made.setdefault(name, str(threads))
    made.setdefault("HOME", str(home))
    if programs is not None:
        made["PATH"] = os.pathsep.join(filter(None, (str(programs), made.get("PATH", os.defpath))))
    return made
