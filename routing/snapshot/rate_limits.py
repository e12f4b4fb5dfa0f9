"""Rate limits: how many requests a minute each endpoint takes, of each caller and of all, counted in the PopProxy.

Each PopProxy counts alone and has its share of each limit, by the number of PopProxies that are ready: Envoy's local
rate limit. What is counted is one extension of the listener that is told on its own (ECDS), so that counts begin anew
only when a limit or the number of PopProxies changes, and a change ends no connection. Routes say what a request counts
for.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

from headrace.contract.limits import WINDOW_SECONDS, Limits
from headrace.routing.snapshot.access import SUBJECT_HEADER
from headrace.routing.snapshot.lua import script_filter
from headrace.routing.snapshot.resources import ENABLED, Body, Resource, discovered_filter, seconds, typed
from headrace.routing.snapshot.world import Endpoint

FILTER: Final = "headrace.limits"
_HEADERS_FILTER: Final = "headrace.limit-headers"
TELLING: Final[Body] = {_HEADERS_FILTER: ENABLED}
"""`typed_per_filter_config` of a route that may be chosen anew: which filters run is settled by the first choice."""
_LOCAL: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_ALL: Final = "endpoint"
_CALLER_OF: Final = "caller-of"
_CALLER: Final = "caller"
CALLERS_MOST: Final = 10_000
"""Callers of an endpoint that are counted apart in one proxy; who was silent the longest is forgotten first."""
_ALWAYS: Final[Body] = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
_TELL: Final = f"""
function envoy_on_response(response)
  local headers = response:headers()
  local most, left = headers:get("x-ratelimit-limit"), headers:get("x-ratelimit-remaining")
  local after = headers:get("x-ratelimit-reset")
  if not (most and left and after) then return end
  for _, name in ipairs({{"limit", "remaining", "reset"}}) do headers:remove("x-ratelimit-" .. name) end
  headers:replace("ratelimit-policy", '"requests";q=' .. most .. ";w={WINDOW_SECONDS}")
  headers:replace("ratelimit", '"requests";r=' .. left .. ";t=" .. after)
  if headers:get(":status") == "429" and left == "0" then
    headers:replace("retry-after", tostring(math.max(1, tonumber(after))))
  end
end
"""
"""Says in the words of the IETF's draft (draft-ietf-httpapi-ratelimit-headers-10) what Envoy says in its own."""


def filters() -> list[Body]:
    """The filters, which run when it is known who calls which endpoint and that it may."""
    tell = script_filter(_HEADERS_FILTER, _TELL)
    return [{**tell, "disabled": True}, discovered_filter(FILTER, _LOCAL)]


def counters(endpoints: Iterable[Endpoint], pop_proxies: int) -> Resource:
    """What FILTER is told: a bucket for each limit, of which one proxy of so many has its share."""
    buckets = [bucket for endpoint in endpoints for bucket in _buckets(endpoint, max(1, pop_proxies))]
    body = {
        "stat_prefix": "limits",
        "filter_enabled": _ALWAYS,
        "filter_enforced": _ALWAYS,
        "status": {"code": "NotExtended"},  # local_replies.LIMITED_STATUS
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "rate_limited_as_resource_exhausted": True,
        "max_dynamic_descriptors": CALLERS_MOST,
        "descriptors": buckets,
    }
    return Resource.of(FILTER, {"name": FILTER, "typed_config": typed(_LOCAL, body)})


def share(most: int, pop_proxies: int) -> int:
    """Requests a minute that one of so many proxies lets in: together no fewer than the limit."""
    return math.ceil(most / pop_proxies)


def counted_for(endpoint: Endpoint) -> Body:
    """What a route's action says: what its requests count for. Empty where nothing is bounded."""
    limits, named = _limits(endpoint), []
    if limits.requests_per_minute is not None:
        named.append([_key(_ALL, endpoint.name)])
    if limits.caller_requests_per_minute is not None:
        caller = {"request_headers": {"header_name": SUBJECT_HEADER, "descriptor_key": _CALLER}}
        named.append([_key(_CALLER_OF, endpoint.name), caller])
    return {"rate_limits": [{"actions": actions} for actions in named]} if named else {}


def limited_route(endpoint: Endpoint) -> Body:
    """`typed_per_filter_config` of a route to the endpoint: callers are told what is left."""
    return TELLING if counted_for(endpoint) else {}


def _key(key: str, value: str) -> Body:
    return {"generic_key": {"descriptor_key": key, "descriptor_value": value}}


def _limits(endpoint: Endpoint) -> Limits:
    return Limits() if endpoint.spec.limits is None else endpoint.spec.limits


def _buckets(endpoint: Endpoint, pop_proxies: int) -> list[Body]:
    limits, found = _limits(endpoint), []

    def bucket(most: int, *entries: dict[str, Any]) -> Body:
        own = share(most, pop_proxies)
        refill = {"max_tokens": own, "tokens_per_fill": own, "fill_interval": seconds(WINDOW_SECONDS)}
        return {"entries": list(entries), "token_bucket": refill}

    if limits.requests_per_minute is not None:
        found.append(bucket(limits.requests_per_minute, {"key": _ALL, "value": endpoint.name}))
    if limits.caller_requests_per_minute is not None:
        # Without a value each value has a bucket of its own.
        caller = ({"key": _CALLER_OF, "value": endpoint.name}, {"key": _CALLER})
        found.append(bucket(limits.caller_requests_per_minute, *caller))
    return found
