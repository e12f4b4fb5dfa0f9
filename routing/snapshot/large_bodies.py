"""Large bodies: at most so many at once, so that a proxy's memory has a bound which its pod's follows from.

A request is counted from its head to its answer, by the length that it announces, so the excess is refused before it is
sent. Envoy's overload manager, which polls, would see twenty bodies of 16 MiB when they have arrived.
"""

from typing import Final

from headrace.routing.snapshot import paths
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, conditional, extension

FILTER: Final = "headrace.large-bodies"


def large_bodies_filter(options: Options) -> Body:
    """Refuses a large body while `options.large_bodies` others are there.

    Envoy's filter adapts its limit to latency; with its least limit equal to its greatest it only counts, in one number
    for all threads. A body of which no length is announced may become large, and counts; but gRPC announces none for
    the smallest call: there the overload manager resets the largest streams when memory runs out.
    """
    limit = options.large_bodies
    counter = {
        "sample_aggregate_percentile": {"value": 50},
        "concurrency_limit_params": {"max_concurrency_limit": limit, "concurrency_update_interval": "3600s"},
        "min_rtt_calc_params": {"fixed_value": "1s", "request_count": 1, "min_concurrency": limit},
    }
    kind = "envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency"
    refusal = {"concurrency_limit_exceeded_status": {"code": "TooManyRequests"}}
    small = paths.header_is("content-length", paths.at_most(options.large_body_bytes))
    call = paths.both(
        paths.header_is("content-type", paths.GRPC_CONTENT), {"not_matcher": paths.header_is("content-length", ".*")}
    )
    large = {"not_matcher": {"or_matcher": {"predicate": [small, call, paths.method_is("GET")]}}}
    return conditional(extension(FILTER, kind, {"gradient_controller_config": counter, **refusal}), large)
