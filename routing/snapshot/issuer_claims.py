"""Issuer claims: subject and groups of a token that another issuer than the cluster has signed, with its prefix.

The token filter verifies the token, keeps its claims and says whose it is in ISSUER_HEADER; a script that runs for
such requests alone makes of them the headers that access lists, limits, the platform's programs and pods go by. A
token of the cluster passes it by: its subject is set by the token filter, and it has no prefix and no groups.
"""

from collections.abc import Sequence
from typing import Final

from headrace.contract import names
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.routing.snapshot import paths
from headrace.routing.snapshot.lua import quoted, script_filter
from headrace.routing.snapshot.resources import Body, conditional

ISSUER_HEADER: Final = "x-headrace-issuer"
"""The verified `iss` of a token of another issuer than the cluster; removed by FILTER, and from what clients send."""
FILTER: Final = "headrace.issuer-claims"
CLAIMS_KEY: Final = "claims"
"""Key of the token's claims in the dynamic metadata of the token filter."""
GROUPS_MOST_BYTES: Final = 8192
"""Of the header with a caller's groups: those that do not fit, the last ones, do not count."""
_SCRIPT: Final = """
local issuers = {%s}

local function claim(claims, name)
  if claims[name] ~= nil then return claims[name] end
  for part in name:gmatch("[^.]+") do
    if type(claims) ~= "table" then return nil end
    claims = claims[part]
  end
  return claims
end

local function is_name(value)
  return type(value) == "string" and value ~= "" and not value:find("%%c") and not value:find("^ ")
    and not value:find(" $")
end

local function percent(letter) return string.format("%%%%%%02X", letter:byte()) end

function envoy_on_request(request)
  local headers = request:headers()
  local issuer = issuers[headers:get("%s")]
  headers:remove("%s")
  if not issuer then return end
  local claims = request:streamInfo():dynamicMetadata():get("%s")["%s"]
  local subject = claim(claims, issuer.subject)
  if not is_name(subject) then
    headers:replace("%s", "0")
    return
  end
  headers:replace("%s", issuer.prefix .. subject)
  if not issuer.groups then return end
  local groups = claim(claims, issuer.groups)
  if type(groups) ~= "table" then groups = {groups} end
  local line = ","
  for _, group in ipairs(groups) do
    if is_name(group) then
      local name = (issuer.prefix .. group):gsub("[^!-$&-+%%-.-~]", percent)
      if #line + #name >= %d then break end
      line = line .. name .. ","
    end
  end
  if line ~= "," then headers:replace("%s", line) end
end
"""


def claims_filter(issuers: Sequence[TrustedIssuer], token_filter: str, refused_header: str) -> Body:
    """To stand behind the token filter of that name, which sets ISSUER_HEADER and CLAIMS_KEY.

    It sets `refused_header` where a token names nobody: whom no list and no limit could know, no route lets in.
    """
    known = ", ".join(_entry(issuer) for issuer in issuers)
    script = _SCRIPT % (
        known, ISSUER_HEADER, ISSUER_HEADER, token_filter, CLAIMS_KEY, refused_header, names.SUBJECT_HEADER,
        GROUPS_MOST_BYTES, names.GROUPS_HEADER,
    )  # fmt: skip
    return conditional(script_filter(FILTER, script), paths.header_is(ISSUER_HEADER, ".*"))


def _entry(issuer: TrustedIssuer) -> str:
    fields = {"prefix": issuer.full_prefix, "subject": issuer.subject_claim, "groups": issuer.groups_claim}
    told = ", ".join(f"{key} = {quoted(value)}" for key, value in fields.items() if value is not None)
    return f"[{quoted(issuer.issuer)}] = {{{told}}}"
