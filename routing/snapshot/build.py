"""Build: World → Snapshot."""

from dataclasses import replace

from headrace.contract import names
from headrace.routing.snapshot.balancer import balancer_resources
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.pop import pop_resources
from headrace.routing.snapshot.recall import Recall
from headrace.routing.snapshot.resources import Snapshot
from headrace.routing.snapshot.world import Endpoint, World


def build(world: World, options: Options, recall: Recall | None = None) -> Snapshot:
    """What every role should hold, given this world.

    Equal worlds give equal snapshots, version for version, whatever order their parts were seen in. `recall`, given
    again with each call, spares the work for what has not changed; it has no influence on the result.
    """
    recall = Recall() if recall is None else recall
    recall.turn()
    world = replace(world, endpoints=tuple(sorted(map(_canonical, world.endpoints), key=lambda found: found.name)))
    return Snapshot(
        {
            names.POP_PROXY: pop_resources(world, options, recall),
            names.LOAD_BALANCER: balancer_resources(world, options, recall),
        }
    )


def _canonical(endpoint: Endpoint) -> Endpoint:
    versions = tuple(sorted(endpoint.spec.versions, key=lambda version: version.name))
    return replace(endpoint, spec=replace(endpoint.spec, versions=versions))
