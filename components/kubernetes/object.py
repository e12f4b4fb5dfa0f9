"""KubernetesObject: registers an object, given as the manifest Kubernetes itself documents, as a Pulumi resource.

Manifests are plain data made by pure functions, so that tests and policies judge exactly what the cluster will get. The
typed classes of pulumi-kubernetes are not used: they would only translate the data, and their import takes two seconds
of CPU at every preview. Type tokens and provider are the same.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import pulumi

_PROVIDER_VERSION: Final = version("pulumi-kubernetes")


class KubernetesObject(pulumi.CustomResource):
    """One object of a cluster."""

    metadata: pulumi.Output[Any]
    """As the API server returned it."""
    spec: pulumi.Output[Any]
    """As the API server returned it; not there for kinds without one."""
    status: pulumi.Output[Any]
    """The object's status at the end of the update; None for kinds without one."""

    def __init__(self, name: str, manifest: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        """`manifest` has apiVersion, kind, metadata and the kind's own fields; values may be outputs."""
        super().__init__(_token(manifest), name, {**manifest, "status": None}, _with_version(opts))


class ApiServerEndpoints(pulumi.CustomResource):
    """The EndpointSlice with the API server's own addresses; it is read and never written."""

    ports: pulumi.Output[Any]
    """Entries with a `port` each."""
    endpoints: pulumi.Output[Any]
    """Entries with `addresses` each."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        kind = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice"}
        super().__init__(_token(kind), name, {"ports": None, "endpoints": None}, _found(opts))


class ApiServerService(pulumi.CustomResource):
    """The Service by which pods reach the API server; it is read and never written."""

    spec: pulumi.Output[Any]
    """With `clusterIPs`."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__(_token({"apiVersion": "v1", "kind": "Service"}), name, {"spec": None}, _found(opts))


def _found(opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """Options of an object that every cluster has under this name."""
    return pulumi.ResourceOptions.merge(_with_version(opts), pulumi.ResourceOptions(id="default/kubernetes"))


class ServedApi(pulumi.CustomResource):
    """The object by which a cluster says that it serves an API; where it does not, the preview fails here.

    It is small, unlike the definition of a kind, and so is its part of the stack's state.
    """

    def __init__(self, name: str, group_version: str, opts: pulumi.ResourceOptions) -> None:
        """`group_version` is for example cilium.io/v2."""
        group, _, version = group_version.partition("/")
        found = pulumi.ResourceOptions(id=f"{version}.{group}")
        kind = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
        super().__init__(_token(kind), name, {}, pulumi.ResourceOptions.merge(_with_version(opts), found))


class ObjectStatus(pulumi.CustomResource):
    """The status that controllers have written to an object by now; it is read and never written."""

    status: pulumi.Output[Any]
    """As the API server has it; None where nobody has written one."""

    def __init__(
        self, name: str, kind: Mapping[str, Any], found: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> None:
        """`kind` has apiVersion and kind, `found` is namespace and name, with a slash between them."""
        read = pulumi.ResourceOptions.merge(_with_version(opts), pulumi.ResourceOptions(id=found))
        super().__init__(_token(kind), name, {"status": None}, read)


def _token(manifest: Mapping[str, Any]) -> str:
    """The type token of the manifest's kind in pulumi-kubernetes."""
    group_version = manifest["apiVersion"]
    if "/" not in group_version:
        group_version = f"core/{group_version}"
    return f"kubernetes:{group_version}:{manifest['kind']}"


def _with_version(opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=_PROVIDER_VERSION), opts)
