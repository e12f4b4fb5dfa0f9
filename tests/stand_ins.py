"""Stand-ins for images: real ones ask a tracking server and are built by a program of their own."""

from types import SimpleNamespace
from typing import Any

import pulumi

from headrace.components import testing
from headrace.components.endpoint import runtime_choice
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
FOUND = testing.ANSWERS


def resolve(model_uri: str, tracking_uri: str = "") -> SimpleNamespace:
    """A registry that holds every model but those named `missing`."""
    if "missing" in model_uri:
        raise PermanentError(f"model_uri = {model_uri!r} does not exist on the tracking server {tracking_uri}")
    version_name = "v" + model_uri.rsplit("/", 1)[-1].rpartition("@")[2]
    flavors = {"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": {}}
    return SimpleNamespace(
        version_name=version_name, size_bytes=2_000_000, flavors=tuple(flavors), mlmodel={"flavors": flavors}
    )


class StandInModelImage(pulumi.ComponentResource):
    """Has ModelImage's outputs, asks no tracking server and builds nothing."""

    image: pulumi.Output[str]

    def __init__(self, name: str, args: Any, opts: pulumi.ResourceOptions | None = None, *, source: Any = None) -> None:
        super().__init__("headrace:index:ModelImage", name, {}, opts)
        self.source = resolve(args["model_uri"]) if source is None else source
        self.version_name = self.source.version_name
        self.choice = runtime_choice.choose(self.source.mlmodel, args.get("runtime", {}))
        # As in the real one, what takes time is a child.
        pulumi.CustomResource("stand-in:index:ImageBuild", f"{name}-build", {}, pulumi.ResourceOptions(parent=self))
        self.image = pulumi.Output.from_input(IMAGE)
        self.register_outputs({"image": self.image})


class StandInPlatformImage(pulumi.ComponentResource):
    """Has PlatformImage's output and builds nothing."""

    image: pulumi.Output[str]

    def __init__(self, name: str, args: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:index:PlatformImage", name, {}, opts)
        self.image = pulumi.Output.from_input(f"registry.example/{args['kind']}@sha256:" + "b" * 64)
        self.register_outputs({"image": self.image})
