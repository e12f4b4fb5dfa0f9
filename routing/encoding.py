"""Encoding: resources as the protobuf messages that Envoy reads. The only module that knows the generated classes."""

# mypy: disable-error-code="import-untyped"
# Generated protobuf classes carry no types.

import importlib
import threading
from collections import OrderedDict
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2, json_format, symbol_database

from headrace.contract.errors import PermanentError
from headrace.routing.conversation import Answer
from headrace.routing.snapshot import Resource, Snapshot
from headrace.routing.snapshot.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, Tree

_MESSAGES: dict[str, Any] = {
    CLUSTER: cluster_pb2.Cluster,
    ENDPOINTS: endpoint_pb2.ClusterLoadAssignment,
    SECRET: secret_pb2.Secret,
    LISTENER: listener_pb2.Listener,
    ROUTES: route_pb2.RouteConfiguration,
}

# Importing a generated module registers its messages, which ParseDict needs for the google.protobuf.Any fields.
for _module in (
    "type.matcher.v3.http_inputs_pb2",
    "extensions.access_loggers.stream.v3.stream_pb2",
    "extensions.filters.http.buffer.v3.buffer_pb2",
    "extensions.filters.http.jwt_authn.v3.config_pb2",
    "extensions.filters.http.rbac.v3.rbac_pb2",
    "extensions.filters.http.router.v3.router_pb2",
    "extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2",
    "extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "extensions.transport_sockets.tls.v3.tls_pb2",
    "extensions.upstreams.http.v3.http_protocol_options_pb2",
):
    importlib.import_module(f"envoy.{_module}")


class Encoder:
    """Encodes each content once, however many proxies ask for it and however often the rest of its table changes.

    Safe to use from several threads.
    """

    def __init__(self, capacity: int = 262_144) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._encoded: OrderedDict[tuple[Any, str], bytes] = OrderedDict()

    def check(self, snapshot: Snapshot) -> None:
        """Encodes all of a snapshot that is new. Raises PermanentError, naming the resource, if any of it cannot be."""
        for resources in snapshot.roles.values():
            for type_url, by_name in resources.items():
                for resource in by_name.values():
                    try:
                        self._bytes(_MESSAGES[type_url], resource.tree)
                    except json_format.ParseError as error:
                        kind = type_url.rsplit(".", 1)[-1]
                        raise PermanentError(
                            f"{kind} {resource.name!r} is not a message of its type: {error}"
                        ) from error

    def _bytes(self, message_class: Any, tree: Tree) -> bytes:
        key = (message_class, tree.digest)
        with self._lock:
            found = self._encoded.get(key)
            if found is not None:
                self._encoded.move_to_end(key)
                return found
        message = json_format.ParseDict(tree.body, message_class())
        if tree.path:
            self._place(message, tree)
        encoded: bytes = message.SerializeToString(deterministic=True)
        with self._lock:
            self._encoded[key] = encoded
            if len(self._encoded) > self._capacity:
                self._encoded.popitem(last=False)
        return encoded

    def _place(self, message: Any, tree: Tree) -> None:
        """Puts the encoded parts into the field that the tree's path names."""
        *outer, last = tree.path.split(".")
        for name in outer:
            message = getattr(message, name)
        if tree.packed:
            part_class = symbol_database.Default().GetSymbol(tree.packed)
            any_field = getattr(message, last)
            any_field.type_url = f"type.googleapis.com/{tree.packed}"
            any_field.value = self._bytes(part_class, tree.children[0])
            return
        container, kind = getattr(message, last), message.DESCRIPTOR.fields_by_name[last].message_type
        if tree.keys is None:
            for child in tree.children:
                container.add().MergeFromString(self._bytes(kind._concrete_class, child))
        else:
            part_class = kind.fields_by_name["value"].message_type._concrete_class
            for key, child in zip(tree.keys, tree.children, strict=True):
                container[key].MergeFromString(self._bytes(part_class, child))

    def resource(self, type_url: str, resource: Resource) -> Any:
        """A discovery Resource message. A body that does not fit its message raises json_format.ParseError."""
        packed = any_pb2.Any(type_url=type_url, value=self._bytes(_MESSAGES[type_url], resource.tree))
        return discovery_pb2.Resource(name=resource.name, version=resource.version, resource=packed)

    def answer(self, answer: Answer) -> Any:
        """A DeltaDiscoveryResponse message."""
        return discovery_pb2.DeltaDiscoveryResponse(
            type_url=answer.type_url,
            nonce=answer.nonce,
            resources=[self.resource(answer.type_url, resource) for resource in answer.difference.upserts],
            removed_resources=answer.difference.removals,
        )
