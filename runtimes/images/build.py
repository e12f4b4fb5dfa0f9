"""From a request to a delivered image: which layers, in which order, and what came of it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.contract import names
from headrace.contract.errors import PermanentError
from headrace.contract.image import (
    DEBIAN_RELEASES,
    LOWEST_PYTHON,
    ImageDescription,
    ImageKind,
    ImageRequest,
    ImageResult,
    Layer,
    minor_version,
)
from headrace.runtimes.images import base as base_module
from headrace.runtimes.images import environment, envoy, prometheus, site
from headrace.runtimes.images.base import BaseLayers
from headrace.runtimes.images.deliver import deliver
from headrace.runtimes.images.model import model_layer
from headrace.runtimes.images.oci import Image, write_image
from headrace.runtimes.images.progress import Report
from headrace.runtimes.images.resolver import pins_of
from headrace.runtimes.images.sbom import Package, bill_layer, python_packages
from headrace.runtimes.images.store import Blob, Store, key_of

_CODE: Final[Mapping[ImageKind, tuple[str, Sequence[str]]]] = {
    ImageKind.MODEL: ("front", site.FRONT_CODE),
    ImageKind.CONTROL: ("control", site.CONTROL_CODE),
}
"""Lock and folders of each image that runs our code."""

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def describe(request: ImageRequest) -> ImageDescription:
    """What the image would be made of, without making or reaching anything.

    Raises PermanentError for a model that the base cannot run, so that a preview says it.
    """
    _check_python(request)
    parts: list[object] = [request.kind.value, base_module.describe(request.base)]
    if request.kind in _CODE:
        lock_name, folders = _CODE[request.kind]
        parts.append(site.packages_key(site.lock_text(lock_name), request.base))
        parts.append(site.code_key(folders, request.base))
    elif request.kind is ImageKind.ENVOY:
        parts.append(envoy.describe())
    elif request.kind is ImageKind.PROMETHEUS:
        parts.append(prometheus.describe(request.base))
    environment_digest = environment.describe(request.model, request.base) if request.model is not None else ""
    return ImageDescription(platform_digest=key_of(*parts), environment_digest=environment_digest)


def resolve(request: ImageRequest, store: Store, *, log: Path) -> tuple[str, ...]:
    """The `name==version` of everything that a model's environment would have; kept for the build that follows.

    Raises PermanentError with the resolver's own message, TemporaryError when the index cannot be reached.
    """
    if request.model is None:
        return ()
    return pins_of(environment.lock(store, request.model, request.base, pins=request.pins, log=log))


def build(request: ImageRequest, store: Store, *, log: Path, report: Report) -> ImageResult:
    """Builds what is missing, delivers what the destination lacks.

    Raises PermanentError or TemporaryError with one sentence; what was finished before stays in the cache.
    """
    made = assemble(request, store, log=log, report=report)
    report("deliver")
    reference, held = deliver(store, made.image, name=request.name, delivery=request.delivery, log=log)
    return ImageResult(
        image=reference,
        digest=reference.rsplit("@", 1)[1],
        layers=tuple(
            Layer(name=name, digest=blob.digest, size=blob.size, created=created, delivered=blob.digest not in held)
            for name, blob, created in made.layers
        ),
        log=str(log),
        pins=made.pins,
    )


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """An image in the store, not delivered yet."""

    image: Image
    layers: tuple[tuple[str, Blob, bool], ...]
    """Each layer's name and blob, and whether this build made it; from the bottom."""
    pins: tuple[str, ...]


def assemble(request: ImageRequest, store: Store, *, log: Path, report: Report) -> Assembled:
    """Builds what is missing of the image; raises as `build` does."""
    _check_python(request)
    report("base")
    # The base is the slowest to make, and nothing above it needs it: the others are made meanwhile.
    with ThreadPoolExecutor(max_workers=1) as pool:
        base = pool.submit(base_module.base_layers, store, request.base, log=log)
        assembly = _Assembly(request=request, store=store, log=log, report=report, base=base)
        makers = {
            ImageKind.MODEL: assembly.model,
            ImageKind.CONTROL: assembly.control,
            ImageKind.ENVOY: assembly.envoy,
            ImageKind.PROMETHEUS: assembly.prometheus,
        }
        image = makers[request.kind]()
    return Assembled(image=image, layers=tuple(assembly.layers), pins=assembly.pins)


def _check_python(request: ImageRequest) -> None:
    if request.model is None:
        return
    logged, has = request.model.python, request.base.python
    minor = ".".join(logged.split(".")[:2])
    if minor == has:
        return
    made_here = " or ".join(DEBIAN_RELEASES)
    other = {"kind": "registry", "reference": f"python:{minor}-slim", "python": minor}
    remedy = f"log it with Python {has}"
    if minor in DEBIAN_RELEASES:
        remedy += f", or leave the base's Python open: bases made here can have {made_here}"
    elif minor_version(logged) < LOWEST_PYTHON:
        remedy = f"log it with Python {made_here}; the server in front of the model needs 3.11 or later"
    else:
        remedy = f"log it with Python {made_here}, or name a base that has {minor}: base = {other}"
    raise PermanentError(f"The model was logged with Python {logged}, and the base has {has}; {remedy}")


class _Assembly:
    """One image in the making: its layers so far, from the bottom, without those of the base."""

    def __init__(
        self, *, request: ImageRequest, store: Store, log: Path, report: Report, base: Future[BaseLayers]
    ) -> None:
        self.layers: list[tuple[str, Blob, bool]] = []
        self.pins: tuple[str, ...] = ()
        self._base = base
        self._request = request
        self._store = store
        self._log = log
        self._report = report
        self._packages_in: list[Package] = []

    def model(self) -> Image:
        """base, front, environment, code, sbom, model: what changes more often lies higher, and moves less when it
        does."""
        model = self._request.model
        if model is None:
            raise PermanentError("model is missing; an image of kind 'model' needs it")
        self._packages("front")
        self._report("environment")
        base = self._request.base
        lock = environment.lock(self._store, model, base, pins=self._request.pins, log=self._log)
        self.pins = pins_of(lock)
        self._add("environment", *environment.environment_layer(self._store, lock, model, base, log=self._log))
        self._packages_in += python_packages(self.pins)
        self._code()
        self._report("model")
        top = ("model", *model_layer(self._store, model, log=self._log))
        entrypoint = [f"/usr/bin/python{base.python}", "-m", "headrace.runtimes.front"]
        return self._image(entrypoint, {"PYTHONPATH": names.FRONT_SITE}, top)

    def control(self) -> Image:
        """base, third-party packages, code of the control plane and the autoscaler."""
        self._packages("control")
        self._code()
        return self._image([f"/usr/bin/python{self._request.base.python}"], {"PYTHONPATH": names.FRONT_SITE})

    def envoy(self) -> Image:
        """base and the Envoy binary."""
        self._report("envoy")
        self._add("envoy", *envoy.envoy_layer(self._store, log=self._log))
        self._packages_in += python_packages(pins_of(envoy.LOCK))
        return self._image([names.ENVOY_BINARY], {})

    def prometheus(self) -> Image:
        """base and the Prometheus server."""
        self._report("prometheus")
        blob, created = prometheus.prometheus_layer(self._store, self._request.base, log=self._log)
        self._add("prometheus", blob, created)
        self._packages_in.append(("deb/debian", "prometheus", blob.fact("version")))
        return self._image([prometheus.BINARY], {})

    def _packages(self, lock_name: str) -> None:
        self._report(lock_name)
        lock = site.lock_text(lock_name)
        self._add(lock_name, *site.packages_layer(self._store, lock, self._request.base, log=self._log))
        self._packages_in += python_packages(pins_of(lock))

    def _code(self) -> None:
        self._report("code")
        self._add(
            "code", *site.code_layer(self._store, _CODE[self._request.kind][1], self._request.base, log=self._log)
        )

    def _add(self, name: str, blob: Blob, created: bool) -> None:
        self.layers.append((name, blob, created))

    def _image(self, entrypoint: Sequence[str], variables: Mapping[str, str], *top: tuple[str, Blob, bool]) -> Image:
        """The image over the base, with the bill of materials above all that it lists and below `top`."""
        made = self._base.result()
        self._add("sbom", *bill_layer(self._store, [*made.packages, *self._packages_in]))
        self.layers = [*(("base", blob, made.created) for blob in made.layers), *self.layers, *top]
        return write_image(
            self._store,
            [blob for _, blob, _ in self.layers],
            entrypoint=entrypoint,
            environment={
                "PATH": _PATH,
                "LANG": "C.UTF-8",
                **made.environment,
                "PYTHONDONTWRITEBYTECODE": "1",  # the root file system is read-only, and the bytecode is there already
                "PYTHONUNBUFFERED": "1",
                **variables,
            },
            labels={
                "org.opencontainers.image.title": self._request.name,
                "org.opencontainers.image.vendor": "Headrace",
                f"{names.API_GROUP}/kind": self._request.kind.value,
            },
        )


def steps(kind: ImageKind) -> int:
    """Number of times `build` reports for an image of that kind."""
    return {ImageKind.MODEL: 6, ImageKind.CONTROL: 4, ImageKind.ENVOY: 3, ImageKind.PROMETHEUS: 3}[kind]
