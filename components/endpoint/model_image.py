"""ModelImage: the container image of one model version, with the model's exact environment.

Layers, from the bottom: operating system and interpreter, the front's packages, the model's environment (shared by
every version with the same requirements), the front's code, the model. Nothing runs here but the resolver and the
builder: no container engine, no root.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.endpoint import model_source
from headrace.components.endpoint.model_source import ModelSource
from headrace.components.endpoint.runtime_choice import EndpointRuntime, choose, runtime_faults
from headrace.components.endpoint.selection.choice import RuntimeChoice
from headrace.components.kubernetes import checks
from headrace.components.platform.image_build import ImageBuild
from headrace.components.platform.platform_ref import ImageBase, ImageDelivery, base_faults, delivery_faults
from headrace.contract.codec import encode
from headrace.contract.errors import HeadraceError
from headrace.images.request import Base, Delivery, ImageKind, ImageRequest, ModelInput

_DEBIAN: Final[ImageBase] = {}


class ModelImageArgs(TypedDict):
    """Inputs of ModelImage."""

    model_uri: str
    """Model to put into the image: models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN_ID/PATH or a directory. Plain,
    because the version names resources."""
    tracking_uri: NotRequired[str]
    """MLflow tracking server that knows the model. Absent: MLFLOW_TRACKING_URI, as for MLflow itself."""
    delivery: pulumi.Input[ImageDelivery]
    """How the image reaches the nodes."""
    base: NotRequired[pulumi.Input[ImageBase]]
    """What lies under every layer. Absent: a Debian made here, with the
    Python that the model was logged with."""
    runtime: NotRequired[EndpointRuntime]
    """What serves the model. Absent: chosen from the model's flavors, task and size."""


class ModelImage(pulumi.ComponentResource):
    """The image of one model version, built when needed and put where pods find it."""

    image: pulumi.Output[str]
    """Reference pinned by digest."""
    digest: pulumi.Output[str]
    """Digest of the image's manifest."""

    def __init__(
        self,
        name: str,
        args: ModelImageArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        source: ModelSource | None = None,
    ) -> None:
        """`source` is what `model_uri` was resolved to, where the program has asked already."""
        delivery = args.get("delivery")
        base: pulumi.Input[ImageBase] = args.get("base", _DEBIAN)
        checks.require(
            f"ModelImage '{name}'",
            checks.known_keys(args, ModelImageArgs.__annotations__),
            checks.present(args, "model_uri", "delivery"),
            delivery_faults(delivery) if isinstance(delivery, Mapping) else (),
            base_faults(base) if isinstance(base, Mapping) else (),
            runtime_faults(args.get("runtime", {})),
        )
        try:
            if source is None:
                source = model_source.resolve(args["model_uri"], args.get("tracking_uri", ""))
            choice = choose(source.mlmodel, args.get("runtime", {}))
        except HeadraceError as error:
            raise checks.ArgsError(f"ModelImage '{name}'", [str(error)]) from error
        super().__init__("headrace:index:ModelImage", name, dict(args), opts)
        if source.pinned_uri != source.uri:
            pulumi.log.info(f"{source.uri} is {source.pinned_uri} now; each update follows it", self)
        notes = list(source.notes) if choice.requirements is None else []
        if notes:
            pulumi.log.warn(f"the environment differs from the one of training: {'; '.join(notes)}", self)
        build = ImageBuild(
            f"{name}-build",
            pulumi.Output.all(delivery, base).apply(partial(_request, source, choice)),
            {
                "model": source.uri,
                "version": source.version_name,
                "python": source.python_version,
                "size_bytes": source.size_bytes,
                "runtime": choice.runtime.value,
                "reasons": list(choice.reasons),
                "notes": notes,
            },
            pulumi.ResourceOptions(parent=self),
        )
        # Not annotated on the class: these are for the program at hand and no outputs, which cross to other languages.
        self.version_name: str = source.version_name
        """DNS label of the version, for example v7; known in a preview."""
        self.source: ModelSource = source
        """The model as the tracking server describes it; known in a preview."""
        self.choice: RuntimeChoice = choice
        """What serves it, and why; known in a preview."""
        self.image = build.image
        self.digest = build.digest
        self.register_outputs({"image": self.image, "digest": self.digest})


def _request(source: ModelSource, choice: RuntimeChoice, known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The request for a known delivery and base."""
    delivery, base = known
    written: dict[str, Any] = encode(image_request(source, choice, delivery=delivery, base=base or {}))
    return written


def image_request(
    source: ModelSource, choice: RuntimeChoice, *, delivery: Mapping[str, Any], base: Mapping[str, Any]
) -> ImageRequest:
    """What the builder is asked for; `base` is the platform's."""
    own = choice.requirements is None
    base = base if choice.base is None else choice.base
    # An engine's environment holds nothing of the model's, which may be of any Python then.
    parsed_base = Base.for_model(base, source.python_version) if own else Base.from_json(base)
    requirements = source.requirements if choice.requirements is None else choice.requirements
    return ImageRequest(
        kind=ImageKind.MODEL,
        name=f"models/{image_name(source.name)}",
        delivery=Delivery.from_json(delivery),
        base=parsed_base,
        model=ModelInput(
            source=source.artifact_uri,
            tracking_uri=source.tracking_uri,
            identity=source.identity,
            python=(source.python_version if own else "") or parsed_base.python,
            requirements=(*requirements, *choice.more_requirements),
            constraints=source.constraints if own else (),
            first=source.first if own else (),
        ),
    )


def image_name(model_name: str) -> str:
    """A path component that image references allow, made from any registered model's name."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in model_name.lower())
    words = [word for word in kept.split("-") if word]
    return "-".join(words)[:100].rstrip("-") or "model"
