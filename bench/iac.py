"""How long stacks of many endpoints take: `make bench-iac`.

Runs on the embedded cluster, which it brings up where it is not, and leaves the platform running as the demo has it.
The endpoints are of one registered model: what is measured is Pulumi, the API server and pods that start, not builds.
"""

import subprocess
import time
from collections.abc import Callable
from typing import Any, Final

from bench import report
from headrace.local import demo, demo_model, target_cluster, tracking_server
from headrace.local.pulumi_stack import PulumiStack
from headrace.local.target_cluster import TargetCluster
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import KUBERNETES_VERSION, PULUMI_VERSION

PREVIEWED: Final = 100
MADE: Final = 20


def main() -> None:
    """Measures each step once, and compares what is there afterwards with what was there before."""
    progress = Progress("bench-iac", steps=1)
    demo.run()
    place = target_cluster.ensure(progress)
    stack = PulumiStack(programs=builder.deployer(progress))
    model = demo_model.ensure(tracking_server.uri())
    own = {"name": demo_model.NAME, "model_uri": model.model_uri}

    def settings(count: int) -> dict[str, Any]:
        # A tenth of a core each, so that the node has room for all: a model loads that much slower.
        small = {"model_uri": model.model_uri, "cpu": 0.1, "memory_mib": 320, "start_seconds": 1200}
        return demo.settings(place, place.host, [own, *({"name": f"many-{n:03}", **small} for n in range(count))])

    before = _objects(place)
    cells = [_timed(f"preview of {PREVIEWED} new endpoints", lambda: stack.up(settings(PREVIEWED), preview=True))]
    try:
        cells.append(_timed(f"up of {MADE} endpoints", lambda: stack.up(settings(MADE))))
        cells.append(_timed(f"up of {MADE} endpoints without change", lambda: stack.up(settings(MADE))))
    finally:
        stack.up(settings(0))
    left = _objects(place) - before
    cells.append(report.single("removed", "objects left", len(left), "objects"))
    value = {cell.case: cell.value for cell in cells}
    bars = [
        report.at_most(f"preview of {PREVIEWED} new endpoints", value[cells[0].case], 45, "s"),
        report.at_most(f"up of {MADE} endpoints", value[cells[1].case], 180, "s"),
        report.at_most(f"up of {MADE} endpoints without change", value[cells[2].case], 15, "s"),
        report.at_most("objects left of endpoints that were removed", len(left), 0, "objects"),
    ]
    versions = {"kubernetes": KUBERNETES_VERSION, "pulumi": PULUMI_VERSION}
    path = report.write("iac", versions=versions, cells=cells, bars=bars)
    for name in sorted(left):
        print(f"left: {name}")
    print(path.read_text())


def _timed(case: str, work: Callable[[], object]) -> report.Cell:
    started = time.monotonic()
    work()
    return report.single(case, "wall", time.monotonic() - started, "s")


def _objects(place: TargetCluster) -> set[str]:
    """Objects of ours that outlive an update, by kind, namespace and name."""
    kinds = "namespaces,deployments,services,configmaps,secrets,networkpolicies,serviceaccounts,modelendpoints,apa"
    columns = "custom-columns=:kind,:metadata.namespace,:metadata.name"
    command = [
        str(builder.kubernetes(Progress("bench-iac", steps=1)) / "kubectl"),
        "--kubeconfig",
        str(place.kubeconfig),
    ]
    done = subprocess.run([*command, "get", kinds, "-A", "-o", columns], capture_output=True, text=True, check=True)
    return {" ".join(line.split()) for line in done.stdout.splitlines()}


if __name__ == "__main__":
    main()
