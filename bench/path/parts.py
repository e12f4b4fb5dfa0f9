"""Parts: the configuration with one part of it taken away, or as it was before decision 0211."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, Final

from headrace.contract import names
from headrace.routing.snapshot import Options, Resource, Snapshot, tracing
from headrace.routing.snapshot.access import (
    JWT_FILTER,
    RBAC_FILTER,
    SHAPE_FILTER,
    STRIPPED_HEADERS,
    STRIPPED_PREFIXES,
    SUBJECT_HEADER,
)
from headrace.routing.snapshot.resources import CLUSTER, LISTENER, ROUTES, Body

Change = Callable[[Snapshot], Snapshot]
_POP: Final = names.POP_PROXY
_PROTOCOLS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _edit(kind: str, edit: Callable[[Body], object]) -> Change:
    """Edits the PopProxy's resources of one type."""

    def change(snapshot: Snapshot) -> Snapshot:
        resources = {}
        for name, resource in snapshot.roles[_POP][kind].items():
            body = copy.deepcopy(resource.body)
            edit(body)
            resources[name] = Resource.of(name, body)
        return Snapshot({**snapshot.roles, _POP: {**snapshot.roles[_POP], kind: resources}})

    return change


def _all(*changes: Change) -> Change:
    def change(snapshot: Snapshot) -> Snapshot:
        for one in changes:
            snapshot = one(snapshot)
        return snapshot

    return change


def _manager(edit: Callable[[Body], object]) -> Change:
    return _edit(LISTENER, lambda body: edit(body["filter_chains"][0]["filters"][0]["typed_config"]))


def _without_filters(*unwanted: str) -> Change:
    def edit(manager: Body) -> None:
        manager["http_filters"] = [item for item in manager["http_filters"] if item["name"] not in unwanted]

    return _manager(edit)


def _filter(name: str, edit: Callable[[Body], object]) -> Change:
    return _manager(lambda manager: [edit(item) for item in manager["http_filters"] if item["name"] == name])


def _without_settings(*keys: str) -> Change:
    return _manager(lambda manager: [manager.pop(key, None) for key in keys])


def _objects(tree: Any) -> Iterator[Body]:
    if isinstance(tree, dict):
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _objects(part)


def _routes(edit: Callable[[Body], object]) -> Change:
    """Edits every object in the table of routes."""
    return _edit(ROUTES, lambda table: [edit(found) for found in list(_objects(table))])


def _without_in_routes(*keys: str) -> Change:
    return _routes(lambda found: [found.pop(key, None) for key in keys])


def _one_route(table: Body) -> None:
    """The route of the long address alone, found by its prefix."""
    route = next(found for found in _objects(table) if found.get("name", "").startswith("fraud:/serving-endpoints"))
    (host,) = table["virtual_hosts"]
    del host["matcher"]
    host["routes"] = [{key: value for key, value in route.items() if key != "@type"}]


def _many_mutations(manager: Body) -> None:
    (extension,) = manager["early_header_mutation_extensions"]
    by_prefix = [
        {"remove_on_match": {"key_matcher": {"prefix": prefix, "ignore_case": True}}} for prefix in STRIPPED_PREFIXES
    ]
    extension["typed_config"]["mutations"] = [*by_prefix, *({"remove": header} for header in STRIPPED_HEADERS)]


def _by_metadata(found: Body) -> None:
    header = found.get("header")
    if isinstance(header, dict) and header.get("name") == SUBJECT_HEADER:
        del found["header"]
        path = [{"key": "jwt"}, {"key": "sub"}]
        matcher = {"filter": JWT_FILTER, "path": path, "value": {"string_match": header["string_match"]}}
        found["sourced_metadata"] = {"metadata_matcher": matcher}


def _with_payload(item: Body) -> None:
    item["typed_config"]["providers"]["callers"]["payload_in_metadata"] = "jwt"


def _http1(cluster: Body) -> None:
    cluster["typed_extension_protocol_options"][_PROTOCOLS]["explicit_http_config"] = {"http_protocol_options": {}}


def _traced(snapshot: Snapshot) -> Snapshot:
    """Spans of sampled requests, which nobody takes: Envoy makes them all the same."""
    options = Options(collector="127.0.0.1:9")
    roles = snapshot.roles[_POP]
    clusters = {**roles[CLUSTER], **{made.name: made for made in tracing.collector_resources(options)}}
    with_cluster = Snapshot({**snapshot.roles, _POP: {**roles, CLUSTER: clusters}})
    return _manager(lambda manager: manager.update(tracing.manager_tracing(_POP, options)))(with_cluster)


def _sampled(manager: Body) -> None:
    manager["tracing"]["random_sampling"] = {"value": 100.0}


_METADATA: Final = _all(_filter(JWT_FILTER, _with_payload), _routes(_by_metadata))
_SHAPE: Final = _filter(SHAPE_FILTER, lambda item: item.pop("disabled"))
_MUTATIONS: Final = _manager(_many_mutations)
_NO_ACCESS: Final = _all(_without_filters(RBAC_FILTER), _without_in_routes("typed_per_filter_config"))

CHANGES: Final[dict[str, Change]] = {
    "as it is": lambda snapshot: snapshot,
    "before: access list from the token's payload": _METADATA,
    "before: each header removed by itself": _MUTATIONS,
    "before: shape looked at by a filter": _SHAPE,
    "before: all three": _all(_METADATA, _MUTATIONS, _SHAPE),
    "without access list": _NO_ACCESS,
    "without token and access list": _all(_without_filters(JWT_FILTER), _NO_ACCESS),
    "without removal of claimed identities": _without_settings("early_header_mutation_extensions"),
    "without search for the endpoint": _edit(ROUTES, _one_route),
    "without the whole body": _without_filters("envoy.filters.http.buffer"),
    "without retries": _without_in_routes("retry_policy"),
    "without log of refusals": _without_settings("access_log"),
    "with a line for every request": _manager(lambda manager: manager["access_log"][0].pop("filter")),
    "with spans of one request in ten": _traced,
    "with spans of every request": _all(_traced, _manager(_sampled)),
    "without normal paths": _without_settings(
        "normalize_path", "merge_slashes", "path_with_escaped_slashes_action", "strip_any_host_port"
    ),
    "without limits of time": _all(
        _without_settings("stream_idle_timeout", "request_headers_timeout", "request_timeout"),
        _without_in_routes("timeout", "idle_timeout"),
    ),
    "HTTP/1.1 to the LoadBalancer": _edit(CLUSTER, _http1),
}
"""By what is different; all but the first are for measuring only."""
