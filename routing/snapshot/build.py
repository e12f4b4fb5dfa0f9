"""`build`: the snapshot that a world gives."""

from dataclasses import replace

from headrace.contract import names
from headrace.routing.snapshot.generational_cache import GenerationalCache
from headrace.routing.snapshot.load_balancer import load_balancer_resources
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.pop_proxy import pop_proxy_resources
from headrace.routing.snapshot.resources import Snapshot
from headrace.routing.snapshot.world import Endpoint, World


def build(world: World, options: Options, cache: GenerationalCache | None = None) -> Snapshot:
    """The resources that the Envoys of each role should hold.

    Equal worlds give equal snapshots, version by version, in whatever order their parts come. The same `cache` in each
    call saves building again what has not changed; it has no influence on the result.
    """
    cache = GenerationalCache() if cache is None else cache
    cache.next_generation()
    world = replace(world, endpoints=tuple(sorted(map(_canonical, world.endpoints), key=lambda found: found.name)))
    pop_proxy = pop_proxy_resources(world, options, cache)
    load_balancer = load_balancer_resources(world, options, cache)
    return Snapshot({names.POP_PROXY: pop_proxy, names.LOAD_BALANCER: load_balancer})


def _canonical(endpoint: Endpoint) -> Endpoint:
    versions = tuple(sorted(endpoint.spec.versions, key=lambda version: version.name))
    return replace(endpoint, spec=replace(endpoint.spec, versions=versions))
