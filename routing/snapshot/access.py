"""Access: which callers may use which route. Every route of the PopProxy requires a token unless it is public."""

from collections.abc import Mapping, Sequence
from typing import Final

from headrace.contract import console, names
from headrace.contract.caller import listed_group
from headrace.routing.snapshot import issuer_claims, paths, revocations
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import DISABLED, ENABLED, Body, direct_response, extension, typed
from headrace.routing.snapshot.world import Endpoint, Issuers, Keys

JWT_FILTER: Final = "envoy.filters.http.jwt_authn"
RBAC_FILTER: Final = "envoy.filters.http.rbac"
SUBJECT_HEADER: Final = names.SUBJECT_HEADER
"""The token's verified `sub`, for access lists and the pod's records; the token itself stops at the PopProxy.
`strip_identity` and JWT_FILTER both remove the header from what clients send, so that only tokens can set it."""
REFUSED_HEADER: Final = "x-headrace-refused"
"""Set by `refused_body` on a request that will be refused, whose body it throws away: the length it announced. Set by
`issuer_claims` on a request of nobody."""
REFUSED_TOKEN_FILTER: Final = "headrace.refused-token"
REFUSED_SHAPE_FILTER: Final = "headrace.refused-shape"
FAILED_KEY: Final = "failed"
"""Key in the dynamic metadata of JWT_FILTER when it refused the token."""
_RBAC: Final = "envoy.extensions.filters.http.rbac.v3.RBAC"
_PROVIDER: Final = "callers"
_BROWSERS: Final = "browsers"
_PER_ROUTE: Final = "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig"
_SCHEMES: Final = ("Bearer", "bearer", "BEARER")

STRIPPED_PREFIXES: Final = (
    "x-headrace-", "x-envoy-", "x-databricks-", "x-jwt-", "x-forwarded-", "x-goog-", "x-amzn-oidc-",
)  # fmt: skip
STRIPPED_HEADERS: Final = (
    "forwarded", "x-real-ip", "x-original-url", "x-rewrite-url", "x-remote-user", "x-user", "x-http-method-override",
    "x-request-id", "via",
)  # fmt: skip
"""Headers by which a client could claim an identity, an address, a path or a request id of another."""


def strip_identity() -> Body:
    """An early header mutation: removes headers that clients must not send, before any other part of the proxy runs.

    It is one pattern, because each further mutation walks through all headers again.
    """
    prefixes, whole = "|".join(STRIPPED_PREFIXES), "|".join(STRIPPED_HEADERS)
    stripped = {"safe_regex": {"regex": f"(?i:(?:{prefixes}).*|{whole})"}}
    return extension(
        "envoy.http.early_header_mutation.header_mutation",
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        {"mutations": [{"remove_on_match": {"key_matcher": stripped}}]},
    )


SHAPE_FILTER: Final = "headrace.shape"
TOO_LARGE: Final = "content-length"
TWO_HOSTS: Final = ":authority"
CREDENTIALS: Final = "authorization"


def too_large(options: Options, header: str = TOO_LARGE) -> Body:
    """Matches a request that announces, or did announce in REFUSED_HEADER, more than the largest body."""
    return {"name": header, "range_match": {"start": options.body_bytes + 1, "end": 2**63 - 1}}


def two_hosts() -> Body:
    """Matches a request with two Host headers: Envoy joins them with a comma, which no host name has."""
    return {"name": TWO_HOSTS, "string_match": {"contains": ","}}


def mixed_credentials() -> Body:
    """Matches a request with an Authorization header that is not one bearer token and nothing else."""
    one = paths.header_matches(CREDENTIALS, rf"({'|'.join(_SCHEMES)}) [^,]*")
    return {**one, "invert_match": True}


def misshapen(options: Options) -> Body:
    """A matcher's predicate that holds for the requests that `shape_filter` refuses."""
    large = paths.header_is(TOO_LARGE, above(options.body_bytes))
    # Envoy joins several headers of one name with a comma. Its token filter looks for a scheme anywhere in each.
    schemes = [f"{word} " for word in _SCHEMES]
    hidden = paths.any_of(*(paths.header_has(CREDENTIALS, scheme) for scheme in schemes))
    after_another = paths.both(paths.not_(paths.header_begins(CREDENTIALS, *schemes)), hidden)
    several = paths.header_has(CREDENTIALS, ",")
    return paths.any_of(large, paths.header_has(TWO_HOSTS, ","), several, after_another)


def above(number: int) -> str:
    """A pattern of all decimal numbers above this one."""
    digits = str(number)
    longer = rf"[1-9]\d{{{len(digits)},}}"
    as_long = [
        rf"{digits[:at]}[{int(digit) + 1}-9]\d{{{len(digits) - at - 1}}}"
        for at, digit in enumerate(digits)
        if digit != "9"
    ]
    return "0*(" + "|".join([longer, *as_long]) + ")"


def shape_filter() -> Body:
    """Refuses a request by its headers alone, before a token is checked or a body is read.

    Only `misshapen_route` enables it; `local_replies` tells the requests apart and gives the statuses.
    """
    policy = {"permissions": [{"any": True}], "principals": [{"any": True}]}
    return {**extension(SHAPE_FILTER, _RBAC, _rules("DENY", shape=policy)), "disabled": True}


def misshapen_route() -> Body:
    """The route of requests that are `misshapen`: it enables the filters that read and refuse them."""
    filters = {**authenticated_route(), REFUSED_SHAPE_FILTER: ENABLED, SHAPE_FILTER: ENABLED}
    return direct_response("misshapen", {"prefix": "/"}, 400, filters)


def _provider(keys: Keys, audiences: Sequence[str], options: Options) -> Body:
    """What a valid token of an issuer is."""
    return {
        "issuer": keys.issuer,
        "audiences": list(audiences),
        "require_expiration": True,
        "max_lifetime": f"{options.token_lifetime_seconds}s",
        "clock_skew_seconds": options.clock_skew_seconds,
        "local_jwks": {"inline_string": keys.jwks},
        # Explicit, because the default also reads a query parameter, which ends up in logs. Three spellings, because
        # the scheme is case-insensitive in HTTP (RFC 9110, 11.1) and case-sensitive in Envoy.
        "from_headers": [{"name": "authorization", "value_prefix": f"{word} "} for word in _SCHEMES],
        # Caches verified signatures by token: one costs 30 µs of CPU. `exp` and `nbf` are checked at each request.
        "jwt_cache_config": {"jwt_cache_size": 1000},
    }


def _providers(issuers: Issuers, options: Options) -> dict[str, Body]:
    """By name: the cluster first, so that its tokens are held against no other."""
    others = {
        f"{_PROVIDER}-{position}": _provider(known.keys, known.trusted.audiences, options)
        for position, known in enumerate(issuers.others)
    }
    return {_PROVIDER: _provider(issuers.cluster, [options.audience], options), **others}


def _one_of(requirements: Sequence[Body]) -> Body:
    if len(requirements) == 1:
        return requirements[0]
    return {"requires_any": {"requirements": list(requirements)}}


def _token_filter(name: str, providers: Mapping[str, Body], requires: Body, **more: Body) -> Body:
    rules = [{"match": {"prefix": "/"}, "requires": requires}]
    kind = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
    return extension(name, kind, {"providers": dict(providers), "rules": rules, **more})


def jwt_filter(issuers: Issuers, options: Options) -> Body:
    """Requires a valid token on every route but those with `public_route`: in a header, or in a cookie where the route
    is one `with_cookie`."""
    token = {"header_name": revocations.TOKEN_HEADER, "claim_name": "jti"}
    of_cluster: Body = {"claim_to_headers": [{"header_name": SUBJECT_HEADER, "claim_name": "sub"}, token]}
    of_another: Body = {
        "claim_to_headers": [{"header_name": issuer_claims.ISSUER_HEADER, "claim_name": "iss"}, token],
        "payload_in_metadata": issuer_claims.CLAIMS_KEY,
    }
    # The token stops here: neither the LoadBalancer nor a model needs it.
    stops: Body = {"failed_status_in_metadata": FAILED_KEY, "forward": False}
    callers = {
        name: {**provider, **stops, **(of_cluster if name == _PROVIDER else of_another)}
        for name, provider in _providers(issuers, options).items()
    }
    browsers = {
        name.replace(_PROVIDER, _BROWSERS): {**provider, "from_cookies": [console.COOKIE]}
        for name, provider in callers.items()
    }
    in_headers, in_either = (_one_of([{"provider_name": name} for name in known]) for known in (callers, browsers))
    return _token_filter(JWT_FILTER, callers | browsers, in_headers, requirement_map={_BROWSERS: in_either})


def claims_filters(issuers: Issuers) -> list[Body]:
    """What follows `jwt_filter` where there are other issuers than the cluster."""
    trusted = [known.trusted for known in issuers.others]
    return [issuer_claims.claims_filter(trusted, JWT_FILTER, REFUSED_HEADER)] if trusted else []


def token_check(name: str, issuers: Issuers, options: Options, header: str) -> Body:
    """Sets a header on requests with a valid token, and lets all pass: JWT_FILTER refuses."""
    # Every valid token has its issuer.
    marks: Body = {"forward": True, "claim_to_headers": [{"header_name": header, "claim_name": "iss"}]}
    providers = {each: {**provider, **marks} for each, provider in _providers(issuers, options).items()}
    requirements = [*({"provider_name": each} for each in providers), {"allow_missing_or_failed": {}}]
    return _token_filter(name, providers, {"requires_any": {"requirements": requirements}})


def access_filter() -> Body:
    """Denies every request whose route has no access rule of its own."""
    return extension(RBAC_FILTER, _RBAC, _rules("ALLOW"))


def _rules(action: str, **policies: Body) -> Body:
    return {"rules": {"action": action, "policies": policies}}


def _access_rule(principals: list[Body]) -> Body:
    # A request whose body was thrown away goes nowhere, should its token have become valid meanwhile.
    whole = {"not_rule": {"header": {"name": REFUSED_HEADER, "present_match": True}}}
    policy = {"permissions": [whole], "principals": principals}
    return {RBAC_FILTER: typed(f"{_RBAC}PerRoute", {"rbac": _rules("ALLOW", callers=policy)})}


def public_route() -> Body:
    """`typed_per_filter_config` of a route that needs no token."""
    return {JWT_FILTER: typed(_PER_ROUTE, {"disabled": True}), REFUSED_TOKEN_FILTER: DISABLED, **authenticated_route()}


def with_cookie() -> Body:
    """`typed_per_filter_config` of a route for every caller with a valid token, which may come in a cookie."""
    # The first look at a token sees no cookie, and would have thrown the body away.
    in_either = typed(_PER_ROUTE, {"requirement_name": _BROWSERS})
    return {JWT_FILTER: in_either, REFUSED_TOKEN_FILTER: DISABLED, **authenticated_route()}


def authenticated_route() -> Body:
    """`typed_per_filter_config` of a route for every caller with a valid token."""
    return _access_rule([{"any": True}])


def endpoint_route(endpoint: Endpoint) -> Body:
    """`typed_per_filter_config` of a route to one endpoint: its access list, by the token's subject and groups."""
    if endpoint.spec.is_open:
        return authenticated_route()
    subjects = [{"exact": each} for each in sorted(set(endpoint.spec.allowed_subjects))]
    groups = [{"contains": listed_group(each)} for each in sorted(set(endpoint.spec.allowed_groups or ()))]
    return _access_rule(
        [{"header": {"name": SUBJECT_HEADER, "string_match": match}} for match in subjects]
        + [{"header": {"name": names.GROUPS_HEADER, "string_match": match}} for match in groups]
    )
