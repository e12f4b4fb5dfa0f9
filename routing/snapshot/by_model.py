"""By model: paths on which the body names the endpoint, as OpenAI's clients do with `{host}/serving-endpoints` as base.

The route is chosen twice. By the head alone it is `undecided`, which turns on two filters: one collects the body, the
other writes its `model` into a header and has the route chosen again. That one is the endpoint's, with its access list,
which is applied after both; or again `undecided`, which refuses.
"""

from typing import Final

from headrace.routing.snapshot import access, paths
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, typed

PREFIX: Final = "/serving-endpoints"
OWN_PREFIX: Final = "/v1"
"""The pod's, instead of PREFIX."""
PATH: Final = r"/serving-endpoints/(chat/completions|completions|embeddings|responses)/?"
MODEL_HEADER: Final = "x-headrace-model"
"""The body's `model` while the route is chosen. Clients cannot send it: `access.strip_identity`."""
_BODY_FILTER: Final = "headrace.body"
_MODEL_FILTER: Final = "headrace.model"


def filters(options: Options) -> list[Body]:
    """Before access lists are applied; off but where a route turns them on."""
    collect = typed("envoy.extensions.filters.http.buffer.v3.Buffer", {"max_request_bytes": options.model_body_bytes})
    header = {"header": {"key": MODEL_HEADER, "value": "%REQUEST_BODY(model)%"}}
    mutation = {"append": {**header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    transform = typed(
        "envoy.extensions.filters.http.transform.v3.TransformConfig",
        {"request_transformation": {"headers_mutations": [mutation]}, "clear_route_cache": True},
    )
    return [
        {"name": _BODY_FILTER, "disabled": True, "typed_config": collect},
        {"name": _MODEL_FILTER, "disabled": True, "typed_config": transform},
    ]


def asks() -> Body:
    """A matcher's predicate: a request on these paths."""
    return paths.both(paths.header_is(":path", rf"{PATH}(\?.*)?"), paths.method_is("POST"))


def undecided() -> Body:
    """The route before the body is known, and of a body that names no endpoint; everyone with a token may ask."""
    on = typed("envoy.config.route.v3.FilterConfig", {"config": {}})
    return {
        "name": "undecided",
        "match": {"prefix": f"{PREFIX}/"},
        "direct_response": {"status": 404},
        "typed_per_filter_config": {**access.authenticated_route(), _BODY_FILTER: on, _MODEL_FILTER: on},
    }


def decided() -> Body:
    """Matches what `asks` held for, up to where the pod's own path is the same."""
    return {"path_separated_prefix": PREFIX}


def asked() -> Body:
    """Matches requests on these paths by a header."""
    return {"name": ":path", "string_match": {"safe_regex": {"regex": rf"{PATH}(\?.*)?"}}}
