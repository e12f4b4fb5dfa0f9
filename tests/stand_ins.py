"""Stand-ins for images: real ones ask a tracking server and are built by a program of their own."""

from types import SimpleNamespace
from typing import Any

import pulumi

IMAGE = "registry.example/models/fraud@sha256:" + "a" * 64
DELIVERY = {"kind": "registry", "repository": "registry.example/models"}
FOUND = {
    "pulumi-python:dynamic/headrace:Certificate": {
        "certificate": "server certificate",
        "private_key": "server key",
        "ca_certificate": "authority certificate",
        "ca_private_key": "authority key",
    },
    "kubernetes:discovery.k8s.io/v1:EndpointSlice": {"ports": [{"port": 16443}]},
}
"""What the engine would find out: a Certificate, and where the API server listens."""


class StandInModelImage(pulumi.ComponentResource):
    """Has ModelImage's outputs, asks no tracking server and builds nothing."""

    image: pulumi.Output[str]

    def __init__(self, name: str, args: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:index:ModelImage", name, {}, opts)
        self.version_name = "v" + args["model_uri"].rsplit("/", 1)[-1]
        self.source = SimpleNamespace(size_bytes=2_000_000)
        self.image = pulumi.Output.from_input(IMAGE)
        self.register_outputs({"image": self.image})


class StandInPlatformImage(pulumi.ComponentResource):
    """Has PlatformImage's output and builds nothing."""

    image: pulumi.Output[str]

    def __init__(self, name: str, args: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:index:PlatformImage", name, {}, opts)
        self.image = pulumi.Output.from_input(f"registry.example/{args['kind']}@sha256:" + "b" * 64)
        self.register_outputs({"image": self.image})
