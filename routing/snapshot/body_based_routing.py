"""Body-based routing: paths on which the request's body names the endpoint, as OpenAI's clients do with the base URL
`{host}/serving-endpoints`.

Envoy chooses the route twice. By the headers alone the route is `undecided`, which enables two filters: one buffers the
body, the other writes the body's `model` into a header and clears the route. The second choice finds the endpoint's
route by this header, with its access list, which is applied after both filters; or `undecided` again, which refuses.
"""

from typing import Final

from headrace.routing.snapshot import access, paths
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import ENABLED, Body, direct_response, extension, header_option

PREFIX: Final = "/serving-endpoints"
OWN_PREFIX: Final = "/v1"
"""The pod's own prefix, which replaces PREFIX."""
PATH: Final = r"/serving-endpoints/(chat/completions|completions|embeddings|responses)/?"
MODEL_HEADER: Final = "x-headrace-model"
"""Holds the body's `model` while the route is chosen. `access.strip_identity` removes it from what clients send."""
_BODY_FILTER: Final = "headrace.body"
_MODEL_FILTER: Final = "headrace.model"


def filters(options: Options) -> list[Body]:
    """The two filters, which run before access lists are applied, and only on routes that enable them."""
    mutations = [{"append": header_option(MODEL_HEADER, "%REQUEST_BODY(model)%")}]
    transform = extension(
        _MODEL_FILTER,
        "envoy.extensions.filters.http.transform.v3.TransformConfig",
        {"request_transformation": {"headers_mutations": mutations}, "clear_route_cache": True},
    )
    limit = {"max_request_bytes": options.model_body_bytes}
    collect = extension(_BODY_FILTER, "envoy.extensions.filters.http.buffer.v3.Buffer", limit)
    return [{**collect, "disabled": True}, {**transform, "disabled": True}]


def asks() -> Body:
    """A matcher's predicate: a request on one of these paths."""
    return paths.both(paths.header_is(":path", rf"{PATH}(\?.*)?"), paths.method_is("POST"))


def undecided() -> Body:
    """The route before the body is read, and of a body that names no endpoint; every caller with a token may use it."""
    filters = {**access.authenticated_route(), _BODY_FILTER: ENABLED, _MODEL_FILTER: ENABLED}
    return direct_response("undecided", {"prefix": f"{PREFIX}/"}, 404, filters)


def asked() -> Body:
    """An access log filter of requests on these paths."""
    return paths.caller_path_matches(rf"{PATH}(\?.*)?")
