"""ModelImage: the container image of one model version, with the model's exact environment.

Layers, from the bottom: operating system and interpreter, the front's packages, the model's environment (shared by
every version with the same requirements), the front's code, the model. Nothing runs here but the resolver and the
builder: no container engine, no root.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.endpoint import endpoint_attestation, endpoint_packages, endpoint_weights, model_source
from headrace.components.endpoint.endpoint_packages import Packages
from headrace.components.endpoint.endpoint_weights import Weights, WeightsPlan
from headrace.components.endpoint.model_source import ModelSource
from headrace.components.endpoint.runtime_choice import EndpointRuntime, choose, runtime_faults
from headrace.components.endpoint.selection.choice import RuntimeChoice
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
    architectures: NotRequired[list[str]]
    """Processors that it must run on: amd64, arm64 or both. Absent: those of `node_architectures` for which the model's
    packages can be had."""
    node_architectures: NotRequired[pulumi.Input[list[str]]]
    """Processors of the cluster's nodes. Absent or empty: this machine's, and amd64 with a registry."""
    evidence: NotRequired[pulumi.Input[str]]
    """Signed evidence of the model from another stack: its image is taken, and none is built. Absent: one is built."""


class ModelImage(pulumi.ComponentResource):
    """The image of one model version, built when needed and put where pods find it."""

    image: pulumi.Output[str]
    """Reference pinned by digest."""
    digest: pulumi.Output[str]
    """Digest of the image's manifest, or of the index of those for several architectures."""
    architectures: pulumi.Output[list[str]]
    """What it runs on."""

    def __init__(
        self,
        name: str,
        args: ModelImageArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        source: ModelSource | None = None,
        weights: Weights | None = None,
        packages: Packages | None = None,
    ) -> None:
        """`source` is what `model_uri` was resolved to, where the program has asked already; with `weights`, pods copy
        a large model's, which are not in the image then (`self.weights`); `packages` are the model's own beside those
        of the base."""
        delivery = args.get("delivery")
        base: pulumi.Input[ImageBase] = args.get("base", _DEBIAN)
        wanted, nodes = args.get("architectures", []), args.get("node_architectures", [])
        checks.require(
            f"ModelImage '{name}'",
            checks.known_keys(args, ModelImageArgs.__annotations__),
            checks.present(args, "model_uri", "delivery"),
            delivery_faults(delivery) if isinstance(delivery, Mapping) else (),
            base_faults(base) if isinstance(base, Mapping) else (),
            architecture_faults(wanted),
            architecture_faults(nodes) if isinstance(nodes, list) else (),
            runtime_faults(args.get("runtime", {})),
        )
        try:
            if source is None:
                source = model_source.resolve(args["model_uri"], args.get("tracking_uri", ""))
            choice = choose(source.mlmodel, args.get("runtime", {}))
            if isinstance(args.get("evidence"), str):  # else it is known later, and refused then
                endpoint_attestation.attested_image(str(args["evidence"]), source)
            planned = "" if weights is None else endpoint_weights.plan(source, weights, os.environ)
        except HeadraceError as error:
            raise checks.ArgsError(f"ModelImage '{name}'", [str(error)]) from error
        super().__init__("headrace:index:ModelImage", name, dict(args), opts)
        if source.pinned_uri != source.uri:
            pulumi.log.info(f"{source.uri} is {source.pinned_uri} now; each update follows it", self)
        by_conda = bool(packages and packages.conda_channels)  # those that say what PyPI has instead are not true then
        notes = list(source.notes) if choice.requirements is None and not by_conda else []
        if notes:
            pulumi.log.warn(f"the environment differs from the one of training: {'; '.join(notes)}", self)
        streamed = 0 if weights is None else endpoint_weights.streamed_bytes(weights, planned)
        if isinstance(planned, str) and planned:
            pulumi.log.warn(planned, self)
        if "evidence" in args:
            self.image = endpoint_attestation.image_of(args["evidence"], source)
            self.digest = self.image.apply(lambda image: image.rpartition("@")[2])
            self.architectures = pulumi.Output.from_input(wanted)  # the evidence does not say
        else:
            build = ImageBuild(
                f"{name}-build",
                pulumi.Output.all(delivery, base, nodes).apply(
                    partial(_request, source, choice, wanted, packages or Packages(), streamed_bytes=streamed)
                ),
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
            self.image, self.digest, self.architectures = build.image, build.digest, build.architectures
        # Not annotated on the class: these are for the program at hand and no outputs, which cross to other languages.
        self.version_name: str = source.version_name
        """DNS label of the version, for example v7; known in a preview."""
        self.source: ModelSource = source
        """The model as the tracking server describes it; known in a preview."""
        self.choice: RuntimeChoice = choice
        """What serves it, and why; known in a preview."""
        self.weights: WeightsPlan | None = planned if isinstance(planned, WeightsPlan) else None
        """What pods must copy; known in a preview."""
        self.register_outputs({"image": self.image, "digest": self.digest, "architectures": self.architectures})


def _request(
    source: ModelSource,
    choice: RuntimeChoice,
    wanted: Sequence[str],
    packages: Packages,
    known: Sequence[Any],
    *,
    streamed_bytes: int = 0,
) -> dict[str, Any]:
    """The request for a known delivery, base and cluster."""
    delivery, base, nodes = known
    request = image_request(source, choice, delivery=delivery, base=base or {}, streamed_bytes=streamed_bytes)
    request = replace(request, base=endpoint_packages.on(request.base, packages))
    built_for = architectures(wanted or nodes, request.delivery)
    written: dict[str, Any] = encode(replace(request, architectures=built_for, is_each_needed=bool(wanted)))
    return written


def image_request(
    source: ModelSource,
    choice: RuntimeChoice,
    *,
    delivery: Mapping[str, Any],
    base: Mapping[str, Any],
    streamed_bytes: int = 0,
) -> ImageRequest:
    """What the builder is asked for; `base` is the platform's, `streamed_bytes` as in ModelInput."""
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
            conda=source.conda if own else (),
            is_locked=source.is_locked and own,
            streamed_bytes=streamed_bytes,
        ),
    )


def image_name(model_name: str) -> str:
    """A path component that image references allow, made from any registered model's name."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in model_name.lower())
    words = [word for word in kept.split("-") if word]
    return "-".join(words)[:100].rstrip("-") or "model"
