"""From a request to a delivered image: which layers, in which order, and what came of it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace.contract import names
from headrace.contract.errors import HeadraceError, PermanentError, TemporaryError
from headrace.images import base as base_module
from headrace.images import environment, envoy, prometheus, site
from headrace.images import interpreter as interpreter_module
from headrace.images.base import BaseLayers
from headrace.images.deliver import deliver
from headrace.images.model import model_layer
from headrace.images.oci import Image, write_image
from headrace.images.prune import prune
from headrace.images.request import ImageKind, ImageRequest
from headrace.images.resolver import pins_of
from headrace.images.sbom import Package, bill_layer, python_packages
from headrace.images.steps import Report, Step, reported
from headrace.images.store import Blob, Store, key_of

_CODE: Final[Mapping[ImageKind, tuple[str, Sequence[str]]]] = {
    ImageKind.MODEL: ("front", ("contract", "runtimes")),
    ImageKind.CONTROL: ("control", ("contract", "kube", "routing", "autoscaler")),
}
"""Lock and folders of each image that runs our code."""

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TAIL_LINES: Final = 30
"""Of the build log, shown with a failure."""


@dataclass(frozen=True, kw_only=True)
class ImageDescription:
    """What an image would be made of, known without building it. Nothing of it depends on the machine that asks."""

    platform_digest: str
    """Changes with the base's recipe, the front's lock and our code: with everything in the image that is not the
    model."""
    environment_digest: str = ""
    """Model images: changes with the requirements, the Python version and the platform."""


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """A finished and delivered image."""

    image: str
    """Reference pinned by digest: what a pod names."""
    layers: Mapping[str, str]
    """Digest of each layer by its name: base, front, python, environment, code, sbom, model, control, envoy or
    prometheus."""
    pins: tuple[str, ...]
    """What the model's requirements resolved to (`name==version`)."""
    log: Path


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """An image in the store, not delivered yet."""

    image: Image
    layers: tuple[tuple[str, Blob, bool], ...]
    """Each layer's name and blob, and whether this build made it; from the bottom."""
    pins: tuple[str, ...]


def describe(request: ImageRequest, *, root: Path = site.PACKAGE_ROOT) -> ImageDescription:
    """What the image would be made of, with the locks and code below `root`; makes and reaches nothing.

    Raises PermanentError for a model whose Python no worker can run on, so that a preview says it.
    """
    parts: list[object] = [request.kind.value, base_module.describe(request.base)]
    if request.kind in _CODE:
        lock_name, folders = _CODE[request.kind]
        parts.append(site.packages_key(site.lock_text(lock_name, root), request.base))
        parts.append(site.code_key(root, folders, request.base))
    elif request.kind is ImageKind.ENVOY:
        parts.append(envoy.describe())
    elif request.kind is ImageKind.PROMETHEUS:
        parts.append(prometheus.describe(request.base))
    environment_digest = environment.describe(request.model, request.base) if request.model is not None else ""
    return ImageDescription(platform_digest=key_of(*parts), environment_digest=environment_digest)


def resolve(request: ImageRequest, store: Store) -> tuple[str, ...]:
    """The `name==version` of everything that a model's environment would have; kept for the build that follows.

    Raises PermanentError with the resolver's own message, TemporaryError when the index cannot be reached.
    """
    if request.model is None:
        return ()
    with _logged(request, store) as log:
        interpreter_module.require(store, interpreter_module.interpreter(request.model, request.base), log=log)
        return pins_of(environment.lock(store, request.model, request.base, pins=(), log=log))


def build(
    request: ImageRequest, store: Store, *, pins: Sequence[str] = (), tell: Callable[[Step], object]
) -> BuiltImage:
    """Builds what is missing, delivers what the destination lacks; safe to be called by several threads at once.

    `pins` are what an earlier build of the same requirements resolved to: preferred wherever they still fit, so that
    another machine, or a later day, makes the same environment. Raises PermanentError or TemporaryError with one
    sentence and the end of the log; what was finished before stays in the cache.
    """
    with _logged(request, store) as log:
        with reported(log, steps(request.kind), tell, store.unfinished) as report:
            made = assemble(request, store, pins=pins, log=log, report=report)
            report("deliver")
            reference = deliver(store, made.image, name=request.name, delivery=request.delivery, log=log)
        prune(store)
    layers = {name: blob.digest for name, blob, _ in made.layers}
    return BuiltImage(image=reference, layers=layers, pins=made.pins, log=log)


def assemble(
    request: ImageRequest,
    store: Store,
    *,
    pins: Sequence[str] = (),
    log: Path,
    report: Report,
    root: Path = site.PACKAGE_ROOT,
) -> Assembled:
    """Builds what is missing of the image, with the locks and code below `root`; raises as `build` does."""
    if request.model is not None:
        interpreter_module.interpreter(request.model, request.base)  # refuses what no worker runs on
    report("base")
    # The base is the slowest to make, and little above it needs it: the others are made meanwhile.
    with ThreadPoolExecutor(max_workers=1) as pool:
        base = pool.submit(base_module.base_layers, store, request.base, log=log)
        assembly = _Assembly(request=request, store=store, preferred=pins, log=log, report=report, base=base, root=root)
        makers = {
            ImageKind.MODEL: assembly.model,
            ImageKind.CONTROL: assembly.control,
            ImageKind.ENVOY: assembly.envoy,
            ImageKind.PROMETHEUS: assembly.prometheus,
        }
        image = makers[request.kind]()
    return Assembled(image=image, layers=tuple(assembly.layers), pins=assembly.pins)


@contextmanager
def _logged(request: ImageRequest, store: Store) -> Iterator[Path]:
    """A new log; an error that leaves says where the log is and how it ends."""
    log = store.new_log(f"{request.kind.value}-{request.name.rsplit('/', 1)[-1]}")
    try:
        yield log
    except HeadraceError as error:
        family = TemporaryError if isinstance(error, TemporaryError) else PermanentError
        raise family(_with_log(str(error), log)) from error
    except OSError as error:  # a full disk is the usual one
        where = f" ({error.filename})" if error.filename else ""
        said = f"The build stopped: {error.strerror or error}{where}"
        remedy = "free space or repair the directory, and run it again"
        raise TemporaryError(_with_log(f"{said}; {remedy}", log)) from error


def _with_log(message: str, log: Path) -> str:
    """The message, where the log is, and the log's last lines but those that the message has."""
    lines = log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []
    told = {line.strip() for line in message.splitlines()}
    tail = [line for line in lines if line.strip() not in told][-_TAIL_LINES:]
    return "\n".join([message, f"Build log: {log}", *tail])


@dataclass(kw_only=True)
class _Assembly:
    """One image in the making."""

    request: ImageRequest
    store: Store
    preferred: Sequence[str]
    """`pins` of an earlier build."""
    log: Path
    report: Report
    base: Future[BaseLayers]
    root: Path
    layers: list[tuple[str, Blob, bool]] = field(default_factory=list)
    """Those so far, from the bottom, without those of the base."""
    packages: list[Package] = field(default_factory=list)
    pins: tuple[str, ...] = ()

    def model(self) -> Image:
        """base, front, python, environment, code, sbom, model: what changes more often lies higher, and moves less
        when it does. There is a layer python where the base's interpreter is not the model's."""
        model = self.request.model
        if model is None:
            raise PermanentError("model is missing; an image of kind 'model' needs it")
        self._locked_packages("front")
        self.report("environment")
        base = self.request.base
        python = interpreter_module.interpreter(model, base)
        if (beside := interpreter_module.interpreter_layer(self.store, python, log=self.log)) is not None:
            self._add("python", *beside)
            self.packages.append(("generic", "cpython", beside[0].fact("version")))
        lock = environment.lock(self.store, model, base, pins=self.preferred, log=self.log)
        self.pins = pins_of(lock)
        layer, created = environment.environment_layer(self.store, lock, model, base, log=self.log)
        self._add("environment", layer, created)
        self.packages += python_packages((*self.pins, *json.loads(layer.fact("unpinned") or "[]")))
        self._code()
        self.report("model")
        top = ("model", *model_layer(self.store, model, log=self.log))
        entrypoint = [f"/usr/bin/python{base.python}", "-m", "headrace.runtimes"]
        return self._image(entrypoint, {"PYTHONPATH": names.FRONT_SITE}, top)

    def control(self) -> Image:
        """base, third-party packages, code of the control plane and the autoscaler."""
        self._locked_packages("control")
        self._code()
        return self._image([f"/usr/bin/python{self.request.base.python}"], {"PYTHONPATH": names.FRONT_SITE})

    def envoy(self) -> Image:
        """base and the Envoy binary."""
        self.report("envoy")
        self._add("envoy", *envoy.envoy_layer(self.store, log=self.log))
        self.packages += python_packages(pins_of(envoy.LOCK))
        return self._image([names.ENVOY_BINARY], {})

    def prometheus(self) -> Image:
        """base and the Prometheus server."""
        self.report("prometheus")
        blob, created = prometheus.prometheus_layer(self.store, self.request.base, log=self.log)
        self._add("prometheus", blob, created)
        self.packages.append(("deb/debian", "prometheus", blob.fact("version")))
        return self._image([prometheus.BINARY], {})

    def _locked_packages(self, lock_name: str) -> None:
        self.report(lock_name)
        lock = site.lock_text(lock_name, self.root)
        self._add(lock_name, *site.packages_layer(self.store, lock, self.request.base, log=self.log))
        self.packages += python_packages(pins_of(lock))

    def _code(self) -> None:
        self.report("code")
        folders = _CODE[self.request.kind][1]
        self._add("code", *site.code_layer(self.store, self.root, folders, self.request.base, log=self.log))

    def _add(self, name: str, blob: Blob, created: bool) -> None:
        self.layers.append((name, blob, created))

    def _image(self, entrypoint: Sequence[str], variables: Mapping[str, str], *top: tuple[str, Blob, bool]) -> Image:
        """The image over the base, with the bill of materials above all that it lists and below `top`."""
        made = self.base.result()
        self._add("sbom", *bill_layer(self.store, [*made.packages, *self.packages]))
        self.layers = [*(("base", blob, made.created) for blob in made.layers), *self.layers, *top]
        return write_image(
            self.store,
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
                "org.opencontainers.image.title": self.request.name,
                "org.opencontainers.image.vendor": "Headrace",
                f"{names.API_GROUP}/kind": self.request.kind.value,
            },
        )


def steps(kind: ImageKind) -> int:
    """Number of times `build` reports for an image of that kind."""
    return {ImageKind.MODEL: 6, ImageKind.CONTROL: 4, ImageKind.ENVOY: 3, ImageKind.PROMETHEUS: 3}[kind]
