"""Refused body: over HTTP/2, the rest of a request that is refused is read and thrown away before the answer.

Envoy answers a refused request at once and resets its stream (`NO_ERROR`), as HTTP/2 allows. curl 7.88 reports that as
an error and not the status; httpx waits for a window that never comes. So what will be refused is recognised by its
head, its body is emptied piece by piece as it arrives, and the filters that refuse hear of it at its end. Over
HTTP/1.1, and of gRPC, clients read an early answer and get one.
"""

from typing import Final

from headrace.routing.snapshot import access, paths
from headrace.routing.snapshot.lua import script_filter
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, conditional, extension
from headrace.routing.snapshot.world import Issuers

_END_FILTER: Final = "headrace.refused-end"
_CHECK_FILTER: Final = "headrace.checked-token"
CHECKED_HEADER: Final = "x-headrace-token"
"""Set when a first look finds the token valid; removed before the request goes on, and from what clients send."""
_THROW_AWAY: Final = f"""
function envoy_on_request(request)
  if request:streamInfo():protocol() ~= "HTTP/2" then return end
  local headers = request:headers()
  if headers:get(":method") == "CONNECT" then return end
  if (headers:get("content-type") or ""):find("^application/grpc") then return end
  headers:replace("{access.REFUSED_HEADER}", headers:get("content-length") or "0")
  for piece in request:bodyChunks() do piece:setBytes("") end
end
"""


def filters(issuers: Issuers, options: Options) -> list[Body]:
    """To stand before the filters that refuse; one is off but on the route of misshapen requests.

    The first token filter refuses nobody and only marks good tokens: what is let in, the later one decides.
    """
    known = paths.header_is(CHECKED_HEADER, ".*")
    refused = paths.header_is(access.REFUSED_HEADER, ".*")
    # What is left of the body is nothing, so this waits for its end and holds no byte.
    end = extension(_END_FILTER, "envoy.extensions.filters.http.buffer.v3.Buffer", {"max_request_bytes": 65536})
    return [
        access.token_check(_CHECK_FILTER, issuers, options, CHECKED_HEADER),
        conditional(_throw_away(access.REFUSED_TOKEN_FILTER), {"not_matcher": known}),
        {**_throw_away(access.REFUSED_SHAPE_FILTER), "disabled": True},
        conditional(end, refused),
    ]


def _throw_away(name: str) -> Body:
    return script_filter(name, _THROW_AWAY)
