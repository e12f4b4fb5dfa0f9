"""ServingCluster: adopts a Kubernetes cluster that exists.

It creates nothing. It checks the kubeconfig, picks one context out of it and puts certificate files inside, so that
the result works from any machine and any stack. The program makes the provider from it, because a provider made inside
a component could not be shared:

    cluster = ServingCluster("cluster", {"kubeconfig": "~/.kube/config"})
    kubernetes = pulumi_kubernetes.Provider("kubernetes", kubeconfig=cluster.kubeconfig)
    platform = ServingPlatform("platform", opts=pulumi.ResourceOptions(provider=kubernetes))
"""

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

import pulumi
import yaml

from headrace.components.cluster.cluster_ref import ClusterRef
from headrace.components.cluster.node_facts import NodeFacts, node_facts
from headrace.components.kubernetes import checks

_FILES: Final = ("certificate-authority", "client-certificate", "client-key")
"""Fields of a kubeconfig that name a file; those that hold the same as base64 are called `<name>-data`."""


class ServingClusterArgs(TypedDict):
    """Inputs of ServingCluster."""

    kubeconfig: NotRequired[str]
    """Path of a kubeconfig. Absent: the first file that KUBECONFIG names, else ~/.kube/config, as kubectl does."""
    context: NotRequired[str]
    """Context in it. Absent: its current context."""
    asks_nodes: NotRequired[bool]
    """Whether to ask the cluster what its nodes have, for `architectures` and `image_volumes`. Default false: it takes
    a second or two of every preview."""


_NO_ARGS: Final[ServingClusterArgs] = {}


class ServingCluster(pulumi.ComponentResource):
    """A cluster that exists already, adopted by its kubeconfig."""

    kubeconfig: pulumi.Output[str]
    """Self-contained kubeconfig with one context, secret."""
    server: pulumi.Output[str]
    """Address of the API server."""
    ref: pulumi.Output[Mapping[str, Any]]
    """What others must know of the cluster; plain data, fit for a stack output: server."""
    architectures: pulumi.Output[list[str]]
    """Architectures of its nodes, amd64 and arm64; empty when they were not asked for or the cluster does not say."""
    image_volumes: pulumi.Output[bool]
    """Whether all of its nodes mount images as volumes; false when they were not asked or the cluster does not say."""

    def __init__(
        self, name: str, args: ServingClusterArgs = _NO_ARGS, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        subject = f"ServingCluster '{name}'"
        checks.require(subject, checks.known_keys(args, ServingClusterArgs.__annotations__))
        path = _path(args.get("kubeconfig", ""))
        checks.require(subject, _readable(path))
        document = yaml.safe_load(path.read_text())
        checks.require(subject, _kubeconfig(path, document))
        context = args.get("context", document.get("current-context", ""))
        checks.require(subject, _usable(path, document, context))
        adopted = one_context(document, context, path.parent)
        super().__init__("headrace:index:ServingCluster", name, {}, opts)  # the path is this machine's own affair
        self.kubeconfig = pulumi.Output.secret(yaml.safe_dump(adopted, sort_keys=True))
        self.server = pulumi.Output.from_input(adopted["clusters"][0]["cluster"]["server"])
        self.ref = self.server.apply(lambda server: ClusterRef(server=server))
        found = node_facts(adopted) if args.get("asks_nodes", False) else NodeFacts()
        self.architectures = pulumi.Output.from_input([*found.architectures])
        self.image_volumes = pulumi.Output.from_input(found.image_volumes)
        outputs = ("kubeconfig", "server", "ref", "architectures", "image_volumes")
        self.register_outputs({output: getattr(self, output) for output in outputs})


def one_context(document: Mapping[str, Any], context: str, folder: Path) -> dict[str, Any]:
    """The part of a kubeconfig that `context` needs, with the files it names (relative to `folder`) put inside."""
    chosen = _named(document, "contexts", context)
    cluster = _named(document, "clusters", chosen["context"]["cluster"])
    user = _named(document, "users", chosen["context"]["user"])
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "contexts": [chosen],
        "clusters": [{**cluster, "cluster": _embedded(cluster["cluster"], folder)}],
        "users": [{**user, "user": _embedded(user["user"], folder)}],
    }


def _embedded(fields: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    embedded = dict(fields)
    for field in _FILES:
        if field in embedded:
            content = (folder / embedded.pop(field)).read_bytes()
            embedded[f"{field}-data"] = base64.b64encode(content).decode()
    return embedded


def _path(given: str) -> Path:
    if given:
        return Path(given).expanduser()
    candidates = [entry for entry in os.environ.get("KUBECONFIG", "").split(os.pathsep) if entry]
    return Path(candidates[0]) if candidates else Path("~/.kube/config").expanduser()


def _readable(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield f"kubeconfig = '{path}', no such file; set it to the kubeconfig of the cluster to use"


def _kubeconfig(path: Path, document: object) -> Iterator[str]:
    if not isinstance(document, dict) or not document.get("contexts"):
        yield f"kubeconfig = '{path}' is not a kubeconfig with a context"


def _usable(path: Path, document: Mapping[str, Any], context: str) -> Iterator[str]:
    known = [entry["name"] for entry in document["contexts"]]
    if context not in known:
        yield f"context = {context!r}, must be one of {', '.join(known)} (those of '{path}')"
        return
    chosen = _named(document, "contexts", context)["context"]
    for kind, field in (("clusters", "cluster"), ("users", "user")):
        if chosen.get(field) not in [entry["name"] for entry in document.get(kind) or []]:
            yield f"kubeconfig = '{path}': context {context!r} names the {field} {chosen.get(field)!r}, which it lacks"


def _named(document: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    return next(dict(entry) for entry in document[kind] if entry["name"] == name)
