"""Revocations: tokens that their issuer calls good and that no route takes, by their ids and by their subjects.

What is revoked is one extension of the listener that is told on its own (ECDS), so that a change ends no connection and
counts at the next request of each.
"""

from typing import Final

from headrace.contract import names
from headrace.contract.revoked import Revoked
from headrace.routing.snapshot.lua import LUA, quoted, script_filter
from headrace.routing.snapshot.resources import Body, Resource, discovered_filter

FILTER: Final = "headrace.revoked"
TOKEN_HEADER: Final = "x-headrace-token-id"
"""The verified `jti` of the token, set by the token filter; no upstream gets it."""
_NOTHING: Final = "-- nothing is revoked"
_SCRIPT: Final = """
local tokens, subjects = {%s}, {%s}
function envoy_on_request(request)
  local headers = request:headers()
  if tokens[headers:get("%s")] or subjects[headers:get("%s")] then
    request:respond({[":status"] = "401"}, "Jwt is revoked")
  end
end
"""
"""Envoy's own reasons, of which this is one more, begin with Jwt."""


def revoked_filter() -> Body:
    """The filter, to stand behind those that verify the token and read the body."""
    return discovered_filter(FILTER, LUA)


def revocations(revoked: Revoked) -> Resource:
    """What FILTER is told."""
    tokens, subjects = (_members(texts) for texts in (revoked.tokens, revoked.subjects))
    script = _SCRIPT % (tokens, subjects, TOKEN_HEADER, names.SUBJECT_HEADER) if tokens or subjects else _NOTHING
    return Resource.of(FILTER, script_filter(FILTER, script))


def _members(texts: tuple[str, ...]) -> str:
    return ", ".join(f"[{quoted(text)}] = true" for text in sorted(set(texts)))
