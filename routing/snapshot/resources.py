"""Resource: one named piece of xDS configuration, versioned by its content."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

Body = dict[str, Any]
"""A protobuf message in its JSON form, with the field names of the .proto files."""

CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
EXTENSION: Final = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"

ORDER: Final = (CLUSTER, ENDPOINTS, SECRET, EXTENSION, LISTENER, ROUTES)
"""The order in which types are sent: no resource refers to one of a later type."""


@dataclass(frozen=True)
class Tree:
    """A message, one field of which (repeated, a map, or an Any) is built from messages of their own.

    A table of ten thousand routes changes one route at a time: unchanged parts keep their digest, and are neither
    hashed nor encoded again.
    """

    body: Body = field(compare=False, repr=False)
    digest: str
    """Digest of the whole content, by which trees are compared."""
    path: str = field(default="", compare=False)
    """Path of the field that holds the children: names of fields, joined by dots."""
    children: tuple["Tree", ...] = field(default=(), compare=False, repr=False)
    keys: tuple[str, ...] | None = field(default=None, compare=False, repr=False)
    """The children's keys, when the field is a map."""
    packed: str = field(default="", compare=False)
    """Type of the only child, when the field is a google.protobuf.Any."""

    @classmethod
    def of(cls, body: Body, path: str = "", children: "Iterable[Tree] | Mapping[str, Tree]" = ()) -> "Tree":
        keys = tuple(children) if isinstance(children, Mapping) else None
        kept = tuple(children.values()) if isinstance(children, Mapping) else tuple(children)
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        parts = "\n".join([text, path, *(keys if keys is not None else ()), *(child.digest for child in kept)])
        return cls(body, hashlib.sha256(parts.encode()).hexdigest()[:16], path, kept, keys)

    @classmethod
    def packing(cls, body: Body, path: str, type_name: str, child: "Tree") -> "Tree":
        """A message with a google.protobuf.Any at the path."""
        plain = cls.of(body, f"{path}:{type_name}", [child])
        return replace(plain, path=path, packed=type_name)

    def whole(self) -> Body:
        """The message with its parts in place."""
        if not self.path:
            return self.body
        if self.packed:
            return _placed(self.body, self.path.split("."), typed(self.packed, self.children[0].whole()))
        parts = [child.whole() for child in self.children]
        value: Any = parts if self.keys is None else dict(zip(self.keys, parts, strict=True))
        return _placed(self.body, self.path.split("."), value)


@dataclass(frozen=True)
class Resource:
    """One resource; equal content has an equal version in every run of every replica of the control plane."""

    name: str
    tree: Tree

    @classmethod
    def of(cls, name: str, body: Body) -> "Resource":
        """A resource without parts."""
        return cls(name, Tree.of(body))

    @property
    def version(self) -> str:
        """Changes with the content and with nothing else."""
        return self.tree.digest

    @property
    def body(self) -> Body:
        """The whole message."""
        return self.tree.whole()


def _placed(body: Body, path: list[str], value: Any) -> Body:
    """A copy of the message with the value at the path."""
    name, *rest = path
    return {**body, name: _placed(body.get(name, {}), rest, value) if rest else value}


RoleResources = Mapping[str, Mapping[str, Resource]]
"""Type URL → resource name → resource; every type of ORDER is present."""


@dataclass(frozen=True)
class Snapshot:
    """The resources of all roles. Keys are names.POP_PROXY and names.LOAD_BALANCER."""

    roles: Mapping[str, RoleResources]


def role_resources(**by_type: Iterable[Resource]) -> RoleResources:
    """Files resources under their type; the keywords are the lower-case names of this module's type constants."""
    keys = ("cluster", "endpoints", "secret", "extension", "listener", "routes")
    types = dict(zip(keys, ORDER, strict=True))
    return {url: {item.name: item for item in by_type.get(key, ())} for key, url in types.items()}


def typed(type_name: str, body: Body | None = None) -> Body:
    """A google.protobuf.Any in JSON form."""
    return {"@type": f"type.googleapis.com/{type_name}", **(body or {})}


def extension(name: str, type_name: str, body: Body | None = None) -> Body:
    """A part of Envoy that is chosen by name, for example a filter, with its configuration."""
    return {"name": name, "typed_config": typed(type_name, body)}


def conditional(http_filter: Body, predicate: Body) -> Body:
    """An HTTP filter that runs only for requests that a matcher's predicate holds for."""
    skip = {"action": extension("skip", "envoy.extensions.filters.common.matcher.action.v3.SkipFilter")}
    matchers = {"matcher_list": {"matchers": [{"predicate": {"not_matcher": predicate}, "on_match": skip}]}}
    wrapped = {"extension_config": http_filter, "xds_matcher": matchers}
    return extension(http_filter["name"], "envoy.extensions.common.matching.v3.ExtensionWithMatcher", wrapped)


def discovered_filter(name: str, type_name: str) -> Body:
    """An HTTP filter whose configuration is a resource of its own (ECDS): a change of it ends no connection."""
    discovered = {"config_source": ADS_SOURCE, "type_urls": [f"type.googleapis.com/{type_name}"]}
    return {"name": name, "config_discovery": discovered}


def direct_response(name: str, match: Body, status: int, filters: Body) -> Body:
    """A route that the proxy answers by itself, with the configuration of filters on it."""
    return {"name": name, "match": match, "direct_response": {"status": status}, "typed_per_filter_config": filters}


def header_option(key: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Body:
    """A header to add, and what is done where it is there already."""
    return {"header": {"key": key, "value": value}, "append_action": action}


def seconds(value: float) -> str:
    """A google.protobuf.Duration in JSON form."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


ENABLED: Final[Body] = typed("envoy.config.route.v3.FilterConfig", {"config": {}})
"""A route's configuration of a filter that is disabled on all other routes."""
DISABLED: Final[Body] = typed("envoy.config.route.v3.FilterConfig", {"disabled": True})
"""A route's configuration of a filter that does not run on it."""
ADS_SOURCE: Final[Body] = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
"""A proxy waits for the control plane without limit: until it has its configuration it is not ready."""
