"""Body-based routing: paths of the host itself, on which no address names the endpoint but the request does.

| path | what names the endpoint |
|---|---|
| `/v1/chat/completions` and siblings; the same under `/serving-endpoints` | `model` in the body |
| `/v2/models/NAME/…`, and `/endpoints/NAME/invocations` | the path, where no map of prefixes finds it |
| gRPC without metadata | `model_name` in the message, and `model_version` |

Envoy chooses the route twice. By the head alone the route is one that is `undecided`, which enables filters: they
collect the body where it is needed, write the name into a header and clear the route. The second choice finds the
endpoint's route by this header, with its access list, which is applied after these filters; or `undecided` again, which
refuses.
"""

from typing import Final

from headrace.routing.snapshot import access, paths, rate_limits
from headrace.routing.snapshot.lua import LUA
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import ENABLED, Body, direct_response, extension, header_option, typed

PATH: Final = r"/(v1|serving-endpoints)/(chat/completions|completions|embeddings|responses)/?"
MODEL_PATH: Final = r"/v2/models/[^/?]+(/.*)?"
INVOCATION_PATH: Final = r"/endpoints/[^/?]+/invocations/?"
MODEL_HEADER: Final = "x-headrace-model"
"""Holds the name while the route is chosen. `access.strip_identity` removes it from what clients send."""
_BODY_FILTER: Final = "headrace.body"
_NAME_FILTER: Final = "headrace.name"
_MODEL_FILTER: Final = "headrace.model"
_BUFFER: Final = "envoy.extensions.filters.http.buffer.v3.Buffer"
_OF_BODY, _OF_PATH, _OF_MESSAGE = "body", "path", "message"

_OWN_PATH: Final = """
function envoy_on_request(request)
  local path = request:headers():get(":path")
  local rest = path:match("^/serving%-endpoints(/.*)$")
  if rest then
    request:headers():replace("x-envoy-original-path", path)
    request:headers():replace(":path", "/v1" .. rest)
  end
end
"""
"""Makes the path the pod's own."""
_NAME_IN_PATH: Final = f"""
function envoy_on_request(request)
  local headers = request:headers()
  local path = headers:get(":path")
  local name, own = path:match("^/endpoints/([^/?]+)(/.*)$")
  if own then
    headers:replace("x-envoy-original-path", path)
    headers:replace(":path", own)
  end
  name = name or path:match("^/v2/models/([^/?]+)")
  if name then headers:replace("{MODEL_HEADER}", name) end
end
"""
_NAME_IN_MESSAGE: Final = f"""
local function varint(data, at)
  local value, factor = 0, 1
  for place = at, math.min(at + 4, #data) do
    local byte = data:byte(place)
    value = value + byte % 128 * factor
    if byte < 128 then return value, place + 1 end
    factor = factor * 128
  end
end

function envoy_on_request(request)
  local body = request:body()
  if not body or body:length() < 5 then return end
  local data = body:getBytes(0, math.min(body:length(), 1024))
  if data:byte(1) ~= 0 then return end  -- compressed
  local headers = {{"{paths.ENDPOINT_METADATA}", "{paths.VERSION_METADATA}"}}
  local found, at, key, size = {{}}, 6, nil, nil
  while at and at <= #data do
    key, at = varint(data, at)
    if not at or key % 8 ~= 2 then break end  -- names and versions come first, and all else in a message is long
    size, at = varint(data, at)
    if not at or at + size - 1 > #data then break end
    found[(key - 2) / 8] = data:sub(at, at + size - 1)
    at = at + size
  end
  for field, header in ipairs(headers) do
    local value = found[field]
    if value and value:match("^[a-z0-9-]+$") and not request:headers():get(header) then
      request:headers():add(header, value)
    end
  end
end
"""
"""Field 1 of every message about a model is its name, and field 2 the version."""


def filters(options: Options) -> list[Body]:
    """The filters, which run before access lists are applied, and only on routes that enable them."""
    limit = {"max_request_bytes": options.model_body_bytes}
    scripts = {_OF_BODY: _OWN_PATH, _OF_PATH: _NAME_IN_PATH, _OF_MESSAGE: _NAME_IN_MESSAGE}
    sources = {name: {"inline_string": text} for name, text in scripts.items()}
    mutations = [{"append": header_option(MODEL_HEADER, "%REQUEST_BODY(model)%")}]
    transform = extension(
        _MODEL_FILTER,
        "envoy.extensions.filters.http.transform.v3.TransformConfig",
        {"request_transformation": {"headers_mutations": mutations}, "clear_route_cache": True},
    )
    collect, name = extension(_BODY_FILTER, _BUFFER, limit), extension(_NAME_FILTER, LUA, {"source_codes": sources})
    return [{**each, "disabled": True} for each in (collect, name, transform)]


def asks() -> Body:
    """A matcher's predicate: a request on one of these paths, but for gRPC, or one whose endpoint was found."""
    return paths.any_of(_asks_by_body(), _asks_by_path(), _named())


def undecided() -> Body:
    """What a matcher does before the name is found, and where it is no endpoint's: every caller with a token may come
    here."""
    routes: tuple[tuple[Body, str, Body], ...] = (
        (_named(), "unheard-of", {}),
        (_asks_by_path(), "unnamed", {_NAME_FILTER: _script(_OF_PATH)}),
    )
    body = {_BODY_FILTER: ENABLED, _NAME_FILTER: _script(_OF_BODY), _MODEL_FILTER: ENABLED}
    matchers = [{"predicate": asked, "on_match": _route(name, filters)} for asked, name, filters in routes]
    return {"matcher": {"matcher_list": {"matchers": matchers}, "on_no_match": _route("undecided", body)}}


def undecided_call(options: Options) -> Body:
    """The route of gRPC calls without metadata; a whole message may be collected, as little of it is read."""
    whole = typed(f"{_BUFFER}PerRoute", {"buffer": {"max_request_bytes": options.body_bytes}})
    named = {_BODY_FILTER: whole, _NAME_FILTER: _script(_OF_MESSAGE)}
    return direct_response(
        "undecided-call", paths.grpc_unnamed(), 404, {**access.authenticated_route(), **named, **rate_limits.TELLING}
    )


def _named() -> Body:
    return paths.header_is(MODEL_HEADER, ".+")


def _asks_by_body() -> Body:
    return paths.both(paths.header_is(":path", rf"{PATH}(\?.*)?"), paths.method_is("POST"))


def _asks_by_path() -> Body:
    asked = paths.header_is(":path", rf"{MODEL_PATH}(\?.*)?")
    spoken = paths.both(asked, paths.method_is(*paths.PROTOCOL_METHODS))
    scores = paths.both(paths.header_is(":path", rf"{INVOCATION_PATH}(\?.*)?"), paths.method_is("POST"))
    return paths.any_of(spoken, scores)


def _script(name: str) -> Body:
    return typed(f"{LUA}PerRoute", {"name": name})


def _route(name: str, filters_on: Body) -> Body:
    route = direct_response(
        name, {"prefix": "/"}, 404, {**access.authenticated_route(), **filters_on, **rate_limits.TELLING}
    )
    return {"action": extension("route", "envoy.config.route.v3.Route", route)}


def asked() -> Body:
    """An access log filter of requests whose body was to name the endpoint."""
    return paths.caller_path_matches(rf"{PATH}(\?.*)?")
