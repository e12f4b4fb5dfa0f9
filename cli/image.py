"""`headrace image build|push MODEL_URI`: a model's image, made where there is no cluster, for example in a pipeline."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no builder.

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from headrace.cli import options

if TYPE_CHECKING:
    from headrace.images.build import BuiltImage

HELP: Final = (
    "A model's image, made without a cluster: as `pulumi up` makes it, of the same layers with the same digest."
)
BUILD_HELP: Final = f"Makes the image and writes it to a file in OCI's image layout. {options.STATUSES}"
PUSH_HELP: Final = (
    "Makes the image and pushes what the registry lacks of it: `pulumi up` with that registry finds it there. Who "
    f"pushes is known as skopeo knows it. {options.STATUSES}"
)

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)

ModelUri = Annotated[
    str,
    typer.Argument(
        metavar="MODEL_URI", help="models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN_ID/PATH, or a directory."
    ),
]
TrackingUri = Annotated[
    str, typer.Option(metavar="URI", help="MLflow tracking server that knows the model; else MLFLOW_TRACKING_URI.")
]
Processors = Annotated[
    list[str] | None,
    typer.Option("--architecture", help="amd64 or arm64; twice: both under one digest. Absent: amd64."),
]
Base = Annotated[
    str, typer.Option(metavar="JSON", help="The platform's image_base, as its settings have it; absent: {}.")
]


@app.command("build", help=BUILD_HELP)
@options.told
def build(  # noqa: PLR0917 -- options of a command line
    model_uri: ModelUri,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The tar file.")],
    tracking_uri: TrackingUri = "",
    architecture: Processors = None,
    base: Base = "{}",
    as_json: options.AsJson = False,
) -> int:
    """The command."""
    made = _made(model_uri, tracking_uri, "localhost", architecture, base, archive=output)
    return _show(made, {"file": str(output), "bytes": output.stat().st_size}, as_json=as_json)


@app.command("push", help=PUSH_HELP)
@options.told
def push(  # noqa: PLR0917 -- options of a command line
    model_uri: ModelUri,
    registry: Annotated[
        str, typer.Option(metavar="HOST/PATH", help="Where images are pushed: `repository` of the image delivery.")
    ],
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="The registry speaks HTTP, on this machine.")
    ] = False,
    tracking_uri: TrackingUri = "",
    architecture: Processors = None,
    base: Base = "{}",
    as_json: options.AsJson = False,
) -> int:
    """The command."""
    made = _made(model_uri, tracking_uri, registry, architecture, base, plain_http=plain_http)
    return _show(made, {}, as_json=as_json)


def _made(
    model_uri: str,
    tracking_uri: str,
    registry: str,
    architecture: list[str] | None,
    base: str,
    *,
    plain_http: bool = False,
    archive: Path | None = None,
) -> "BuiltImage":
    """Raises HeadraceError: InputError for what is asked, else as the builder does."""
    from headrace.components.endpoint import model_source
    from headrace.components.endpoint.model_image import image_request
    from headrace.components.endpoint.runtime_choice import choose
    from headrace.components.platform.platform_ref import architecture_faults, architectures, base_faults
    from headrace.contract.errors import InputError
    from headrace.images import build as builder
    from headrace.images.store import Store, cache_directory

    given = _document(base)
    faults = [*architecture_faults(architecture or []), *base_faults(given)]
    if faults:
        raise InputError("headrace image", faults)
    source = model_source.resolve(model_uri, tracking_uri)
    delivery = {"kind": "registry", "repository": registry, "plain_http": plain_http}
    request = image_request(source, choose(source.mlmodel, {}), delivery=delivery, base=given)
    wanted = architectures(architecture or [], request.delivery)
    request = replace(request, architectures=wanted, is_each_needed=True)
    console = Console(stderr=True, highlight=False)
    return builder.build(
        request, Store(cache_directory()), archive=archive, tell=lambda step: console.print(str(step), markup=False)
    )


def _document(base: str) -> dict[str, Any]:
    from headrace.contract.errors import InputError

    try:
        found = json.loads(base)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError("headrace image", [f'--base = {base!r}, must be a JSON object such as {{"python": "3.13"}}'])
    return found


def _show(made: "BuiltImage", more: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        told = {"image": made.image, "architectures": list(made.architectures), "layers": dict(made.layers), **more}
        print(json.dumps({**told, "notes": list(made.notes)}, indent=1))
    else:
        print(made.image)
    return options.WELL
