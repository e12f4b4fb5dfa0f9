"""ImageBuild: one image, built and put where pods find it. ModelImage and PlatformImage are its faces.

It is a dynamic resource: its code runs in Pulumi's provider process on the deployer's machine, several resources at
once in threads. It changes when what goes into the image changes, and when the image is gone from its destination, for
example because the node's disk was cleared. It does not delete images: a rollback needs them, and nodes and registries
have their own rules for what is old.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
from pulumi import dynamic
from pulumi.runtime import rpc

from headrace.components.platform.platform_ref import base_faults, delivery_faults
from headrace.contract.codec import decode
from headrace.contract.errors import HeadraceError, TemporaryError
from headrace.images import build as builder
from headrace.images.architecture import Architecture
from headrace.images.deliver import in_registry, on_nodes
from headrace.images.request import Delivery, DeliveryKind, ImageRequest
from headrace.images.steps import Step
from headrace.images.store import Store, cache_directory

_QUIET_SECONDS: Final = 2.0
"""Progress of a build that is over sooner would only be noise."""

_NO_PROPERTY: Final = ""
"""Pulumi prints the whole value of a property that it is given the name of."""

REQUEST: Final = "request"
PLATFORM_DIGEST: Final = "platform_digest"
ENVIRONMENT_DIGEST: Final = "environment_digest"
ARCHITECTURES: Final = "architectures"


class ImageBuildProvider(dynamic.ResourceProvider):
    """Create, check and update an image."""

    serialize_as_secret_always = False  # it holds no state when it is serialized
    _held: dict[Delivery, frozenset[str] | None]
    """Images on the nodes of a delivery as they were when first asked for: one look an update, not one an image."""

    def configure(self, _req: dynamic.ConfigureRequest) -> None:
        """Called once in each provider process."""
        self._held = {}

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Adds digests of what the image is made of, so that a preview shows whether it would be built and why.

        Requirements that changed are resolved, so that a preview refuses those that cannot be, and says on which of the
        cluster's architectures the image will not run.
        """
        if _unknown(news.get(REQUEST)):
            return dynamic.CheckResult(news, [])
        told = (*delivery_faults(news[REQUEST]["delivery"]), *base_faults(_base(news[REQUEST])))
        faults = [dynamic.CheckFailure(_NO_PROPERTY, fault) for fault in told]
        if not faults:
            try:
                news = {**news, REQUEST: _kept_on(olds.get(REQUEST), news[REQUEST])}
                request = decode(ImageRequest, news[REQUEST])
                described = builder.describe(request)
                news = {
                    **news,
                    PLATFORM_DIGEST: described.platform_digest,
                    ARCHITECTURES: _names(request.architectures),
                }
                if described.environment_digest:
                    news[ENVIRONMENT_DIGEST] = described.environment_digest
                    if described.environment_digest != olds.get(ENVIRONMENT_DIGEST):
                        resolved = builder.resolve(request, Store(cache_directory()))
                        news[ARCHITECTURES] = _names(resolved.architectures)
                        _tell(request, resolved.notes)
                    elif ARCHITECTURES in olds:
                        news[ARCHITECTURES] = olds[ARCHITECTURES]
            except TemporaryError:
                pass  # an index that does not answer now may do so when the image is built
            except HeadraceError as error:
                faults = [dynamic.CheckFailure(_NO_PROPERTY, str(error))]
        return dynamic.CheckResult(news, faults)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Changed when the content changed, or when the destination says that it no longer has the image."""
        changed = any(
            _content(olds, key) != _content(news, key) for key in (PLATFORM_DIGEST, ENVIRONMENT_DIGEST, REQUEST)
        )
        return dynamic.DiffResult(changes=changed or not self._still_there(olds))

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Builds and delivers."""
        return dynamic.CreateResult(str(props[REQUEST]["name"]), _built(props, pins=()))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Builds what changed and delivers it; the same requirements resolve to what they resolved to before."""
        same = olds.get(ENVIRONMENT_DIGEST) == news.get(ENVIRONMENT_DIGEST) or _packages(olds) == _packages(news)
        return dynamic.UpdateResult(_built(news, pins=tuple(olds.get("pins") or ()) if same else ()))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """On refresh: an image that is gone is gone from the state too, and the next update makes it again."""
        return dynamic.ReadResult(id_ if self._still_there(props) else "", props)

    def _still_there(self, props: Mapping[str, Any]) -> bool:
        """False only when the destination says so: one that does not answer has lost nothing yet."""
        image = props.get("image")
        if not image:
            return False
        try:
            delivery = Delivery.from_json(props[REQUEST]["delivery"])
            if delivery.kind is DeliveryKind.REGISTRY:
                return in_registry(image, delivery) is not False
            if delivery not in self._held:
                self._held[delivery] = on_nodes(delivery)
        except HeadraceError:
            return True
        held = self._held[delivery]
        return held is None or image in held


class ImageBuild(dynamic.Resource, module="headrace", name="ImageBuild"):
    """One delivered image."""

    image: pulumi.Output[str]
    """Reference pinned by digest."""
    digest: pulumi.Output[str]
    """Digest of the image's manifest."""
    architectures: pulumi.Output[list[str]]
    """What it runs on."""
    log: pulumi.Output[str]
    """Path of the build log on the machine that built it."""

    def __init__(
        self,
        name: str,
        request: pulumi.Input[Mapping[str, Any]],
        shown: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`request` is an encoded ImageRequest; `shown` are further inputs, for the reader of a preview."""
        outputs = dict.fromkeys(
            ("image", "digest", "layers", "pins", "log", PLATFORM_DIGEST, ENVIRONMENT_DIGEST, ARCHITECTURES)
        )
        super().__init__(ImageBuildProvider(), name, {**shown, REQUEST: request, **outputs}, opts)


def _built(props: dict[str, Any], *, pins: tuple[str, ...]) -> dict[str, Any]:
    def tell(step: Step) -> None:
        if step.elapsed_seconds >= _QUIET_SECONDS:  # to standard error, which Pulumi shows
            sys.stderr.write(f"{props[REQUEST]['name']}: {step}\n")

    try:
        request = decode(ImageRequest, props[REQUEST])
        made = builder.build(request, Store(cache_directory()), pins=pins, tell=tell)
    except HeadraceError as error:
        raise error.with_traceback(None) from None  # Pulumi prints the frames; these say nothing to a user
    _tell(request, made.notes)
    return {
        **props,
        "image": made.image,
        "digest": made.image.rpartition("@")[2],
        "layers": dict(made.layers),
        "pins": list(made.pins),
        "log": str(made.log),
        ARCHITECTURES: _names(made.architectures),
    }


def _tell(request: ImageRequest, notes: tuple[str, ...]) -> None:
    for note in notes:
        sys.stderr.write(f"{request.name}: {note}\n")  # which Pulumi shows


def _names(architectures: Sequence[Architecture]) -> list[str]:
    """As Pulumi keeps them."""
    return [architecture.value for architecture in architectures]


def _kept_on(before: Mapping[str, Any] | None, request: dict[str, Any]) -> dict[str, Any]:
    """The request with the architectures that it had before, where it is for those of the cluster's nodes: pools of
    nodes come and go with the load, and an image that was built anew each time would roll the pods."""
    if request.get("is_each_needed", True) or not before:
        return request
    wanted = {*request.get(ARCHITECTURES, ()), *before.get(ARCHITECTURES, ())}
    return {**request, ARCHITECTURES: sorted(wanted)}


def _base(request: Mapping[str, Any]) -> dict[str, Any]:
    """The base as it was given: its architecture is the request's affair."""
    return {key: value for key, value in request["base"].items() if key != "architecture"}


def _content(props: Mapping[str, Any], key: str) -> Any:
    """What decides about a build: where a model's bytes are is not its content, what they are is. The base is in the
    platform's digest."""
    value = props.get(key)
    if key != REQUEST or not isinstance(value, Mapping):
        return value
    model = value.get("model") or {}
    rest = {name: item for name, item in value.items() if name not in {"model", "base"}}
    return {**rest, "identity": model.get("identity"), "streamed_bytes": model.get("streamed_bytes", 0)}


def _packages(props: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a model asks for, however this release or an earlier one reads it."""
    request = props.get(REQUEST) or {}
    model = request.get("model") or {}
    return model.get("requirements"), model.get("constraints"), (request.get("base") or {}).get("python")


def _unknown(value: Any) -> bool:
    """Whether a part of the value is known only after an update."""
    if isinstance(value, Mapping):
        return any(_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(_unknown(item) for item in value)
    return value is None or value == rpc.UNKNOWN
