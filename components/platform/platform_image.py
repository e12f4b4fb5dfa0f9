"""PlatformImage: the container image of one of the platform's own programs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import checks
from headrace.components.platform.image_build import ImageBuild
from headrace.components.platform.platform_ref import (
    ImageBase,
    ImageDelivery,
    architecture_faults,
    architectures,
    base_faults,
    delivery_faults,
)
from headrace.contract.codec import encode
from headrace.images.request import Base, Delivery, ImageKind, ImageRequest

_DEBIAN: Final[ImageBase] = {}
_KINDS: Final = tuple(kind.value for kind in ImageKind if kind is not ImageKind.MODEL)


class PlatformImageArgs(TypedDict):
    """Inputs of PlatformImage."""

    kind: str
    """control: the control plane and the autoscaler. envoy: the proxies. prometheus: the metrics server. tables: the
    table writer. console: the console. collector: OpenTelemetry's Collector."""
    delivery: pulumi.Input[ImageDelivery]
    """How the image reaches the nodes."""
    base: NotRequired[pulumi.Input[ImageBase]]
    """What lies under every layer. Absent: a Debian with Python 3.11 made here."""
    architectures: NotRequired[pulumi.Input[list[str]]]
    """Processors that it runs on: amd64, arm64 or both. Absent or empty: this machine's, and amd64 with a registry."""


class PlatformImage(pulumi.ComponentResource):
    """The image of one of the platform's programs, built when needed and put where pods find it."""

    image: pulumi.Output[str]
    """Reference pinned by digest."""
    digest: pulumi.Output[str]
    """Digest of the image's manifest."""

    def __init__(self, name: str, args: PlatformImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        delivery = args.get("delivery")
        base: pulumi.Input[ImageBase] = args.get("base", _DEBIAN)
        wanted = args.get("architectures", [])
        checks.require(
            f"PlatformImage '{name}'",
            checks.known_keys(args, PlatformImageArgs.__annotations__),
            checks.present(args, "kind", "delivery"),
            checks.choice("kind", str(args.get("kind", "")), _KINDS),
            delivery_faults(delivery) if isinstance(delivery, Mapping) else (),
            base_faults(base) if isinstance(base, Mapping) else (),
            architecture_faults(wanted) if isinstance(wanted, list) else (),
        )
        super().__init__("headrace:index:PlatformImage", name, dict(args), opts)
        kind = ImageKind(args["kind"])
        asked = pulumi.Output.all(delivery, base, wanted)
        request = asked.apply(lambda known: _request(kind, known[0], known[1] or {}, known[2]))
        build = ImageBuild(f"{name}-build", request, {}, pulumi.ResourceOptions(parent=self))
        self.image = build.image
        self.digest = build.digest
        self.register_outputs({"image": self.image, "digest": self.digest})


def _request(
    kind: ImageKind, delivery: Mapping[str, Any], base: Mapping[str, Any], wanted: Sequence[str] | None
) -> dict[str, Any]:
    known = Delivery.from_json(delivery)
    request = ImageRequest(
        kind=kind,
        name=f"platform/{kind.value}",
        delivery=known,
        base=Base.from_json(base),
        architectures=architectures(wanted, known),
    )
    written: dict[str, Any] = encode(request)
    return written
