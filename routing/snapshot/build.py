"""Build: World → Snapshot."""

from headrace.contract import names
from headrace.routing.snapshot.balancer import balancer_resources
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.pop import pop_resources
from headrace.routing.snapshot.resources import Snapshot
from headrace.routing.snapshot.world import World


def build(world: World, options: Options) -> Snapshot:
    """What every role should hold, given this world. Equal worlds give equal snapshots, version for version."""
    return Snapshot(
        {
            names.POP_PROXY: pop_resources(world, options),
            names.LOAD_BALANCER: balancer_resources(world, options),
        }
    )
