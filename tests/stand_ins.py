"""Stand-ins for images: real ones ask a tracking server and are built by a program of their own."""

from types import SimpleNamespace
from typing import Any

import pulumi

from headrace.components import testing
from headrace.components.endpoint import endpoint_weights, runtime_choice
from headrace.components.endpoint.endpoint_attestation import image_of
from headrace.components.endpoint.endpoint_packages import Packages
from headrace.components.endpoint.endpoint_weights import Weights
from headrace.contract.errors import PermanentError

IMAGE = "registry.example/models/fraud@sha256:" + "a" * 64
KUBECONFIG = {
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"}}],
    "users": [{"name": "u", "user": {"token": "hush"}}],
}
"""Of a cluster that nobody asks anything."""
DELIVERY = {"kind": "registry", "repository": "registry.example/models"}
REF_OF_A_PLATFORM: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}
FOUND = testing.ANSWERS


def resolve(model_uri: str, tracking_uri: str = "") -> SimpleNamespace:
    """A registry that holds every model but those named `missing`."""
    if "missing" in model_uri:
        raise PermanentError(f"model_uri = {model_uri!r} does not exist on the tracking server {tracking_uri}")
    version_name = "v" + model_uri.rsplit("/", 1)[-1].rpartition("@")[2]
    flavors = {"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": {}}
    return SimpleNamespace(
        version_name=version_name,
        size_bytes=2_000_000,
        flavors=tuple(flavors),
        mlmodel={"flavors": flavors},
        uri=model_uri,
        pinned_uri=model_uri,
        identity=f"content of {model_uri}",
    )


def large_source(
    uri: str = "mlflow-artifacts:/1/models/m-1/artifacts", *, gib: float = 8, server: str = "http://10.1.2.3:5000"
) -> Any:
    """A model of 8 GiB on a server that pods reach, as `resolve` describes models."""
    known = {"artifact_uri": uri, "tracking_uri": server, "size_bytes": int(gib * 1024**3)}
    return SimpleNamespace(**{**vars(resolve("models:/fraud/7")), **known})


class StandInModelImage(pulumi.ComponentResource):
    """Has ModelImage's outputs, asks no tracking server and builds nothing."""

    image: pulumi.Output[str]
    architectures: pulumi.Output[list[str]]

    def __init__(
        self,
        name: str,
        args: Any,
        opts: pulumi.ResourceOptions | None = None,
        *,
        source: Any = None,
        weights: Weights | None = None,
        packages: Packages | None = None,
    ) -> None:
        super().__init__("headrace:index:ModelImage", name, {}, opts)
        self.source = resolve(args["model_uri"]) if source is None else source
        planned = "" if weights is None else endpoint_weights.plan(self.source, weights, {})
        self.weights = None if isinstance(planned, str) else planned
        self.version_name = self.source.version_name
        self.choice = runtime_choice.choose(self.source.mlmodel, args.get("runtime", {}))
        # As in the real one, what takes time is a child.
        pulumi.CustomResource("stand-in:index:ImageBuild", f"{name}-build", {}, pulumi.ResourceOptions(parent=self))
        given = args.get("evidence")
        self.image = pulumi.Output.from_input(IMAGE) if given is None else image_of(given, self.source)
        self.architectures = pulumi.Output.from_input(args.get("architectures") or ["amd64"])
        self.register_outputs({"image": self.image, "architectures": self.architectures})


class StandInPlatformImage(pulumi.ComponentResource):
    """Has PlatformImage's output and builds nothing."""

    image: pulumi.Output[str]

    def __init__(self, name: str, args: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:index:PlatformImage", name, {}, opts)
        self.image = pulumi.Output.from_input(f"registry.example/{args['kind']}@sha256:" + "b" * 64)
        self.register_outputs({"image": self.image})
