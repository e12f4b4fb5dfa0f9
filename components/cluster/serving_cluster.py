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

from headrace.components.kubernetes import checks

_FILES: Final = ("certificate-authority", "client-certificate", "client-key")
"""Fields of a kubeconfig that name a file; those that hold the same as base64 are called `<name>-data`."""


class ServingClusterArgs(TypedDict):
    """Inputs of ServingCluster."""

    kubeconfig: NotRequired[str]
    """Path of a kubeconfig. Absent: the first file that KUBECONFIG names, else ~/.kube/config, as kubectl does."""
    context: NotRequired[str]
    """Context in it. Absent: its current context."""


_NO_ARGS: Final[ServingClusterArgs] = {}


class ServingCluster(pulumi.ComponentResource):
    """A cluster that exists already, adopted by its kubeconfig."""

    kubeconfig: pulumi.Output[str]
    """Self-contained kubeconfig with one context, secret."""
    server: pulumi.Output[str]
    """Address of the API server."""

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
        self.register_outputs({"kubeconfig": self.kubeconfig, "server": self.server})


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
