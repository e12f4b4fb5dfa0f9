"""What the toolchain costs on a machine that has nothing: `make bench-toolchain`.

Every cache is empty: built programs, Go's compiled packages and Go's downloaded modules. Takes about ten minutes on
two idle cores. `python -m bench.toolchain --as-built` builds nothing and reports what the programs in the cache cost
when they were built, which is the same where `make demo` built them on a machine with empty caches.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench import report
from headrace.local.paths import cache_directory
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder, download
from headrace.local.toolchain.programs import DEPLOYER, KUBERNETES, KUBERNETES_VERSION, PULUMI_VERSION

PROGRAMS = (*DEPLOYER, KUBERNETES)


def main() -> None:
    """Reports the processor and wall time of each program's build."""
    parser = argparse.ArgumentParser(prog="bench.toolchain")
    parser.add_argument("--as-built", action="store_true", help="report the builds of the cache, and build nothing")
    as_built = parser.parse_args().as_built
    costs = builder.costs(PROGRAMS) if as_built else _cold_costs()
    if len(costs) < len(PROGRAMS):
        raise SystemExit(f"the cache has {len(costs)} of {len(PROGRAMS)} programs; run `make demo` first")
    cells = [
        report.single(str(cost["program"]), metric, float(str(cost[key])), "s")
        for cost in costs
        for metric, key in (("processor", "cpu_seconds"), ("wall", "wall_seconds"))
    ]
    total = sum(cell.value for cell in cells if cell.metric == "processor") / 60
    report.write(
        "toolchain",
        versions={
            "kubernetes": KUBERNETES_VERSION,
            "pulumi": PULUMI_VERSION,
            "builds": "make demo" if as_built else "own",
        },
        cells=cells,
        bars=[report.at_most("cold toolchain build", total, 25, "CPU-min")],
    )


def _cold_costs() -> list[dict[str, object]]:
    """Builds everything once, in the order in which a demo does."""
    folder = Path(tempfile.mkdtemp(dir=cache_directory(), prefix="bench-"))
    os.environ.update(HEADRACE_CACHE=str(folder), GOCACHE=str(folder / "packages"), GOMODCACHE=str(folder / "modules"))
    os.environ[download.MIRROR_VARIABLE] = "off"
    try:
        progress = Progress("bench-toolchain", steps=len(PROGRAMS))
        for program in PROGRAMS:
            builder.ensure(program, progress)
        return builder.costs(PROGRAMS)
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)  # Go's module cache is read-only
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
