"""Access: who may call what. Every route of the PopProxy asks for a token unless it says otherwise."""

from typing import Final

from headrace.contract import names
from headrace.routing.snapshot import paths
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, typed
from headrace.routing.snapshot.world import Endpoint, Keys

JWT_FILTER: Final = "envoy.filters.http.jwt_authn"
RBAC_FILTER: Final = "envoy.filters.http.rbac"
SUBJECT_HEADER: Final = "x-headrace-subject"
"""The verified `sub`, for access lists and the pod's records; the token itself stops at the PopProxy. Removed from what
clients send, by `strip_identity` and again by JWT_FILTER: it is the token's, or is not there."""
FAILED_KEY: Final = "failed"
"""Dynamic metadata of JWT_FILTER that is there when the token was refused."""
_PROVIDER: Final = "callers"
_SCHEMES: Final = ("Bearer", "bearer", "BEARER")

STRIPPED_PREFIXES: Final = (
    "x-headrace-",
    "x-envoy-",
    "x-databricks-",
    "x-jwt-",
    "x-forwarded-",
    "x-goog-",
    "x-amzn-oidc-",
)
STRIPPED_HEADERS: Final = (
    "forwarded",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-remote-user",
    "x-user",
    "x-http-method-override",
    "x-request-id",
    "via",
)
"""Headers by which a client could claim an identity, an address, a path or a request id that are not its own."""


def strip_identity() -> Body:
    """Removes what clients must not send before any other part of the proxy looks at the request.

    One pattern: each mutation of its own walks through all headers again.
    """
    prefixes, whole = "|".join(STRIPPED_PREFIXES), "|".join(STRIPPED_HEADERS)
    stripped = {"safe_regex": {"regex": f"(?i:(?:{prefixes}).*|{whole})"}}
    mutations: list[Body] = [{"remove_on_match": {"key_matcher": stripped}}]
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": typed(
            "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation", {"mutations": mutations}
        ),
    }


SHAPE_FILTER: Final = "headrace.shape"
TOO_LARGE: Final = "content-length"
TWO_HOSTS: Final = ":authority"


def too_large(options: Options) -> Body:
    """Matches a request that announces more than the largest body."""
    return {"name": TOO_LARGE, "range_match": {"start": options.body_bytes + 1, "end": 2**63 - 1}}


def two_hosts() -> Body:
    """Matches a request with two Host headers: Envoy joins them with a comma, which no host name has."""
    return {"name": TWO_HOSTS, "string_match": {"contains": ","}}


def misshapen(options: Options) -> Body:
    """A matcher's predicate: holds for what `shape_filter` refuses, and costs less than the filter."""
    large = paths.header_is(TOO_LARGE, above(options.body_bytes))
    return {"or_matcher": {"predicate": [large, paths.header_has(TWO_HOSTS, ",")]}}


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


def shape_filter(options: Options) -> Body:
    """Refuses by the head alone, before a token is checked or a body is read; `dialect` gives the statuses.

    Off but on `misshapen_route`.
    """
    rules = [{"header": too_large(options)}, {"header": two_hosts()}]
    policy = {"permissions": rules, "principals": [{"any": True}]}
    return {
        "name": SHAPE_FILTER,
        "disabled": True,
        "typed_config": typed(
            "envoy.extensions.filters.http.rbac.v3.RBAC", {"rules": {"action": "DENY", "policies": {"shape": policy}}}
        ),
    }


def misshapen_route() -> Body:
    """Of requests that are `misshapen`: turns the filter on that refuses them."""
    return {
        "name": "misshapen",
        "match": {"prefix": "/"},
        "direct_response": {"status": 400},
        "typed_per_filter_config": {
            **authenticated_route(),
            SHAPE_FILTER: typed("envoy.config.route.v3.FilterConfig", {"config": {}}),
        },
    }


def jwt_filter(keys: Keys, options: Options) -> Body:
    """Requires a valid token everywhere; a route can only opt out by naming itself public (`public_route`)."""
    provider: Body = {
        "issuer": keys.issuer,
        "audiences": [options.audience],
        "require_expiration": True,
        "max_lifetime": f"{options.token_lifetime_seconds}s",
        "clock_skew_seconds": options.clock_skew_seconds,
        "local_jwks": {"inline_string": keys.jwks},
        # Named, because the default also reads a query parameter, which ends up in logs.
        # Thrice, because the scheme's case does not matter to HTTP but does to Envoy.
        "from_headers": [{"name": "authorization", "value_prefix": f"{word} "} for word in _SCHEMES],
        # Of verified signatures, by token: one costs 30 µs of CPU. Times are checked at each request all the same.
        "jwt_cache_config": {"jwt_cache_size": 1000},
        "failed_status_in_metadata": FAILED_KEY,
        "claim_to_headers": [{"header_name": SUBJECT_HEADER, "claim_name": "sub"}],
        # The token ends here: neither the LoadBalancer nor a model needs or sees it.
        "forward": False,
    }
    return {
        "name": JWT_FILTER,
        "typed_config": typed(
            "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            {
                "providers": {_PROVIDER: provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": _PROVIDER}}],
            },
        ),
    }


def access_filter() -> Body:
    """Denies every request on whose route nothing else was said."""
    return {
        "name": RBAC_FILTER,
        "typed_config": typed(
            "envoy.extensions.filters.http.rbac.v3.RBAC", {"rules": {"action": "ALLOW", "policies": {}}}
        ),
    }


def _access_rule(principals: list[Body]) -> Body:
    policy = {"permissions": [{"any": True}], "principals": principals}
    return {
        RBAC_FILTER: typed(
            "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
            {"rbac": {"rules": {"action": "ALLOW", "policies": {"callers": policy}}}},
        )
    }


def public_route() -> Body:
    """`typed_per_filter_config` of a route that needs no token and tells nothing."""
    return {
        JWT_FILTER: typed("envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig", {"disabled": True}),
        **_access_rule([{"any": True}]),
    }


def authenticated_route() -> Body:
    """`typed_per_filter_config` of a route for everyone who has a token."""
    return _access_rule([{"any": True}])


def endpoint_route(endpoint: Endpoint) -> Body:
    """`typed_per_filter_config` of a route into one endpoint: its access list, by the token's `sub`."""
    if not endpoint.spec.allowed_subjects:
        return authenticated_route()
    return _access_rule(
        [
            {"header": {"name": SUBJECT_HEADER, "string_match": {"exact": subject}}}
            for subject in sorted(set(endpoint.spec.allowed_subjects))
        ]
    )


def endpoint_header(endpoint: Endpoint) -> Body:
    """Tells the pod, and every log on the way, which endpoint was asked for."""
    return {
        "header": {"key": names.ENDPOINT_HEADER, "value": endpoint.name},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
