"""By model: paths on which the body names the endpoint, as OpenAI's clients do with `{host}/serving-endpoints` as base.

The route is chosen twice. By the head alone it is `undecided`, which turns on two filters: one collects the body, the
other writes its `model` into a header and has the route chosen again. That one is the endpoint's, with its access list,
which is applied after both; or again `undecided`, which refuses.
"""

from typing import Final

from headrace.routing.snapshot import access
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, typed

PREFIX: Final = "/serving-endpoints/"
HIDING: Final = "chat"
HIDDEN: Final = "/serving-endpoints/chat/completions"
"""The one of the paths that an endpoint named HIDING would hide: its own prefix is longer than PREFIX."""
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


def undecided(post: Body) -> Body:
    """The route before the body is known, and of a body that names no endpoint; everyone with a token may ask."""
    on = typed("envoy.config.route.v3.FilterConfig", {"config": {}})
    return {
        "name": "undecided",
        "match": {"safe_regex": {"regex": PATH}, "headers": [post]},
        "direct_response": {"status": 404},
        "typed_per_filter_config": {**access.authenticated_route(), _BODY_FILTER: on, _MODEL_FILTER: on},
    }


def decided(post: Body) -> Body:
    """Matches what `undecided` was for, once more."""
    return {"safe_regex": {"regex": PATH}, "headers": [post]}


def rewrite() -> Body:
    """From the path at the edge to the pod's own."""
    return {"pattern": {"regex": PATH}, "substitution": r"/v1/\1"}


def asked() -> Body:
    """Matches requests on these paths by a header."""
    return {"name": ":path", "string_match": {"safe_regex": {"regex": rf"{PATH}(\?.*)?"}}}
