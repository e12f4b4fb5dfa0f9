"""ResourceEncoder: resources as protobuf messages for Envoy; only this module knows the generated classes."""

# mypy: disable-error-code="import-untyped"
# Generated protobuf classes carry no types.

import importlib
import threading
from collections.abc import Sequence
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2, json_format, symbol_database

from headrace.contract.errors import PermanentError
from headrace.routing.ads.delta_session import DeltaResponse
from headrace.routing.snapshot import Resource, Snapshot
from headrace.routing.snapshot.resources import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET, Tree

_MESSAGES: dict[str, Any] = {
    CLUSTER: cluster_pb2.Cluster,
    ENDPOINTS: endpoint_pb2.ClusterLoadAssignment,
    SECRET: secret_pb2.Secret,
    EXTENSION: extension_pb2.TypedExtensionConfig,
    LISTENER: listener_pb2.Listener,
    ROUTES: route_pb2.RouteConfiguration,
}

# Importing a generated module registers its messages, which ParseDict needs for the google.protobuf.Any fields.
for _module in (
    "config.trace.v3.opentelemetry_pb2",
    "type.matcher.v3.http_inputs_pb2",
    "extensions.access_loggers.grpc.v3.als_pb2",
    "extensions.access_loggers.open_telemetry.v3.logs_service_pb2",
    "extensions.access_loggers.stream.v3.stream_pb2",
    "extensions.common.matching.v3.extension_matcher_pb2",
    "extensions.filters.common.matcher.action.v3.skip_action_pb2",
    "extensions.filters.http.adaptive_concurrency.v3.adaptive_concurrency_pb2",
    "extensions.filters.http.buffer.v3.buffer_pb2",
    "extensions.filters.http.ext_authz.v3.ext_authz_pb2",
    "extensions.filters.http.jwt_authn.v3.config_pb2",
    "extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2",
    "extensions.filters.http.lua.v3.lua_pb2",
    "extensions.filters.http.rbac.v3.rbac_pb2",
    "extensions.filters.http.router.v3.router_pb2",
    "extensions.filters.http.transform.v3.transform_pb2",
    "extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2",
    "extensions.request_id.uuid.v3.uuid_pb2",
    "extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "extensions.transport_sockets.tls.v3.tls_pb2",
    "extensions.upstreams.http.v3.http_protocol_options_pb2",
):
    importlib.import_module(f"envoy.{_module}")


class ResourceEncoder:
    """Encodes each resource, and each part of one, once for all proxies and for as long as its content stays.

    It caches what the last two checked snapshots hold, and nothing older. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: dict[tuple[Any, str], bytes] = {}
        self._now: dict[tuple[Any, str], bytes] = {}

    def check(self, snapshot: Snapshot) -> None:
        """Encodes what is new in a snapshot. Raises PermanentError, which names the resource that cannot be encoded."""
        with self._lock:
            self._before, self._now = self._now, {}
        for resources in snapshot.roles.values():
            for type_url, by_name in resources.items():
                for resource in by_name.values():
                    try:
                        self._bytes(_MESSAGES[type_url], resource.tree)
                    except json_format.ParseError as error:
                        what = f"{type_url.rsplit('.', 1)[-1]} {resource.name!r}"
                        raise PermanentError(f"{what} is not a message of its type: {error}") from error

    def _bytes(self, message_class: Any, tree: Tree) -> bytes:
        key = (message_class, tree.digest)
        with self._lock:
            found, before = self._now.get(key), self._before.get(key)
        if found is not None:
            return found
        part_class = _part_class(message_class, tree)
        parts = [self._bytes(part_class, child) for child in tree.children]
        encoded = _encoded(message_class, tree, parts) if before is None else before
        with self._lock:
            self._now[key] = encoded
        return encoded

    def resource(self, type_url: str, resource: Resource) -> Any:
        """A discovery.v3.Resource message. Raises json_format.ParseError for a body that does not fit its type."""
        packed = any_pb2.Any(type_url=type_url, value=self._bytes(_MESSAGES[type_url], resource.tree))
        return discovery_pb2.Resource(name=resource.name, version=resource.version, resource=packed)

    def response(self, response: DeltaResponse) -> Any:
        return discovery_pb2.DeltaDiscoveryResponse(
            type_url=response.type_url,
            nonce=response.nonce,
            resources=[self.resource(response.type_url, resource) for resource in response.difference.upserts],
            removed_resources=response.difference.removals,
        )


def _part_class(message_class: Any, tree: Tree) -> Any:
    """The class of the messages of the tree's children; None when there are none."""
    if not tree.path:
        return None
    if tree.packed:
        return symbol_database.Default().GetSymbol(tree.packed)
    descriptor = message_class.DESCRIPTOR
    for name in tree.path.split("."):
        descriptor = descriptor.fields_by_name[name].message_type
    if tree.keys is not None:
        descriptor = descriptor.fields_by_name["value"].message_type
    return descriptor._concrete_class


def _encoded(message_class: Any, tree: Tree, parts: Sequence[bytes]) -> bytes:
    """The message with its encoded parts in the field that the tree's path names."""
    message = json_format.ParseDict(tree.body, message_class())
    if tree.path:
        *outer, last = tree.path.split(".")
        owner = message
        for name in outer:
            owner = getattr(owner, name)
        target = getattr(owner, last)
        if tree.packed:
            target.type_url = f"type.googleapis.com/{tree.packed}"
            target.value = parts[0]
        elif tree.keys is not None:
            for key, part in zip(tree.keys, parts, strict=True):
                target[key].MergeFromString(part)
        else:
            for part in parts:
                target.add().MergeFromString(part)
    encoded: bytes = message.SerializeToString(deterministic=True)
    return encoded
