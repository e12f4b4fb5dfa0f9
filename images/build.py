"""From a request to a delivered image: which layers, in which order, and what came of it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from headrace.contract import names
from headrace.contract.errors import HeadraceError, PermanentError, TemporaryError
from headrace.images import base as base_module
from headrace.images import collector, compiled_code, conda_environment, environment, envoy, prometheus, site
from headrace.images import interpreter as interpreter_module
from headrace.images.architecture import Architecture
from headrace.images.base import BaseLayers
from headrace.images.deliver import LOCAL_REPOSITORY, deliver
from headrace.images.model import model_layer
from headrace.images.oci import Image, write_archive, write_image, write_index
from headrace.images.prune import prune
from headrace.images.request import ImageKind, ImageRequest
from headrace.images.resolver import pins_of
from headrace.images.sbom import Package, bill_layer, python_packages
from headrace.images.steps import Report, Step, reported
from headrace.images.store import Blob, Store, key_of

_CODE: Final[Mapping[ImageKind, tuple[str, Sequence[str]]]] = {
    ImageKind.MODEL: ("front", ("contract", "runtimes")),
    ImageKind.CONTROL: ("control", ("contract", "kube", "routing", "autoscaler")),
    ImageKind.TABLES: ("tables", ("contract", "kube", "observability/tables", "observability/drift")),
    ImageKind.CONSOLE: ("console", ("contract", "kube", "observability/console")),
}
"""Lock and folders of each image that runs our code."""

_Made = TypeVar("_Made")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LOG_WORDS: Final = "\nBuild log: "
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
    """Digest of each layer by its name: base, front, python, environment, code, sbom, model, control, tables, envoy,
    prometheus or collector. Of an image for several architectures the names begin with `arm64/`, …"""
    pins: tuple[str, ...]
    """What the model's requirements resolved to (`name==version`)."""
    log: Path
    architectures: tuple[Architecture, ...] = (Architecture.AMD64,)
    """What it runs on."""
    notes: tuple[str, ...] = ()
    """Sentences on architectures that it does not run on, although they were asked for."""


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What is known of an image once its packages are."""

    architectures: tuple[Architecture, ...]
    """Those of the request for which it can be built."""
    pins: tuple[str, ...]
    """The `name==version` of everything that its environment will have, on the first of them."""
    notes: tuple[str, ...] = ()
    """Sentences on the others."""


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
    described = [_describe(request.of(architecture), root) for architecture in request.architectures]
    if len(described) == 1:
        return described[0]
    return ImageDescription(
        platform_digest=key_of(*(one.platform_digest for one in described)),
        environment_digest=key_of(*(one.environment_digest for one in described)) if request.model is not None else "",
    )


def _describe(request: ImageRequest, root: Path) -> ImageDescription:
    parts: list[object] = [request.kind.value, base_module.describe(request.base)]
    if request.kind in _CODE:
        lock_name, folders = _CODE[request.kind]
        parts.append(site.packages_key(site.lock_text(lock_name, root), request.base))
        parts.append(site.code_key(root, folders, request.base))
    elif request.kind is ImageKind.ENVOY:
        parts.append(envoy.describe(request.base.architecture))
    elif request.kind is ImageKind.PROMETHEUS:
        parts.append(prometheus.describe(request.base))
    elif request.kind is ImageKind.COLLECTOR:
        parts.append(collector.describe(request.base.architecture))
    environment_digest = environment.describe(request.model, request.base) if request.model is not None else ""
    return ImageDescription(platform_digest=key_of(*parts), environment_digest=environment_digest)


def resolve(request: ImageRequest, store: Store) -> Resolved:
    """Resolves what a model's environment would have, which is kept for the build that follows.

    Raises PermanentError with the resolver's own message, TemporaryError when the index cannot be reached.
    """
    pins: tuple[str, ...] = ()

    def packages(one: ImageRequest) -> None:
        nonlocal pins
        if one.model is None:
            return
        with _logged(one, store) as log:
            interpreter_module.require(store, interpreter_module.interpreter(one.model, one.base), log=log)
            lock = environment.lock(store, one.model, one.base, pins=pins, log=log)
            environment.require_wheels(store, lock, one.model, one.base, log=log)
            pins = pins or pins_of(lock)

    found, notes = _for_each(request, packages)
    return Resolved(architectures=tuple(found), pins=pins, notes=notes)


def build(
    request: ImageRequest,
    store: Store,
    *,
    pins: Sequence[str] = (),
    tell: Callable[[Step], object],
    archive: Path | None = None,
) -> BuiltImage:
    """Builds what is missing, delivers what the destination lacks; safe to be called by several threads at once.

    With `archive` nothing is delivered: the image is written there, as a tar file in OCI's image layout.

    `pins` are what an earlier build of the same requirements resolved to: preferred wherever they still fit, so that
    another machine, or a later day, makes the same environment. Raises PermanentError or TemporaryError with one
    sentence and the end of the log; what was finished before stays in the cache.
    """
    is_one = len(request.architectures) == 1
    with _logged(request, store) as log:
        count = (steps(request.kind) - 1) * len(request.architectures) + 1
        with reported(log, count, tell, store.unfinished) as report:
            preferred = pins

            def one_image(one: ImageRequest) -> Assembled:
                nonlocal preferred
                suffix = "" if is_one else f" for {one.base.architecture}"
                made = assemble(one, store, pins=preferred, log=log, report=lambda step: report(f"{step}{suffix}"))
                preferred = preferred or made.pins  # the others get the same versions, where they can
                return made

            made, notes = _for_each(request, one_image)
            images = [each.image for each in made.values()]
            report("deliver")
            whole = images[0] if len(images) == 1 else write_index(store, images)
            if archive is None:
                reference = deliver(store, whole, name=request.name, delivery=request.delivery, log=log)
            else:
                reference = f"{LOCAL_REPOSITORY}/{request.name}@{whole.digest}"
                write_archive(store, whole, [reference], archive)
        prune(store)
    layers = {
        name if is_one else f"{architecture}/{name}": blob.digest
        for architecture, each in made.items()
        for name, blob, _ in each.layers
    }
    first = next(iter(made.values()))
    return BuiltImage(image=reference, layers=layers, pins=first.pins, log=log, architectures=tuple(made), notes=notes)


def _for_each(
    request: ImageRequest, make: Callable[[ImageRequest], _Made]
) -> tuple[dict[Architecture, _Made], tuple[str, ...]]:
    """What is made for each architecture, and sentences on those for which it cannot be, which are left out.

    Raises the first PermanentError where each is needed, or where nothing is left.
    """
    made: dict[Architecture, _Made] = {}
    failures: dict[Architecture, PermanentError] = {}
    for architecture in request.architectures:
        try:
            made[architecture] = make(request.of(architecture))
        except PermanentError as error:
            if request.is_each_needed:
                raise
            failures[architecture] = error
    if not made:
        raise next(iter(failures.values()))
    said = {name: " ".join(str(error).partition(_LOG_WORDS)[0].split()) for name, error in failures.items()}
    return made, tuple(f"no image for {name}: {why}" for name, why in said.items())


def assemble(
    request: ImageRequest,
    store: Store,
    *,
    pins: Sequence[str] = (),
    log: Path,
    report: Report,
    root: Path = site.PACKAGE_ROOT,
) -> Assembled:
    """Builds what is missing of the image for the base's architecture, with the locks and code below `root`; raises as
    `build` does."""
    if request.model is not None:
        interpreter_module.interpreter(request.model, request.base)  # refuses what no worker runs on
    report("base")
    # The base is the slowest to make, and little above it needs it: the others are made meanwhile.
    with ThreadPoolExecutor(max_workers=1) as pool:
        base = pool.submit(base_module.base_layers, store, request.base, log=log)
        assembly = _Assembly(request=request, store=store, preferred=pins, log=log, report=report, base=base, root=root)
        makers = {
            ImageKind.MODEL: assembly.model,
            ImageKind.CONTROL: assembly.program,
            ImageKind.TABLES: assembly.program,
            ImageKind.CONSOLE: assembly.program,
            ImageKind.ENVOY: assembly.envoy,
            ImageKind.PROMETHEUS: assembly.prometheus,
            ImageKind.COLLECTOR: assembly.collector,
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
    return f"{message}{_LOG_WORDS}{log}" + "".join(f"\n{line}" for line in tail)


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
        self.packages += [("conda", name, version) for name, version in conda_environment.packages_in(lock)]
        self._code()
        self.report("model, and its weights' checksums" if model.streamed_bytes else "model")
        layer, created = model_layer(self.store, model, log=self.log)
        compiled_code.require(json.loads(layer.fact("machines") or "{}"), base.architecture)
        entrypoint = [f"/usr/bin/python{base.python}", "-m", "headrace.runtimes"]
        return self._image(entrypoint, {"PYTHONPATH": names.FRONT_SITE}, ("model", layer, created))

    def program(self) -> Image:
        """base, third-party packages, code: of the control plane and the autoscaler, or of the table writer."""
        self._locked_packages(_CODE[self.request.kind][0])
        self._code()
        return self._image([f"/usr/bin/python{self.request.base.python}"], {"PYTHONPATH": names.FRONT_SITE})

    def envoy(self) -> Image:
        """base and the Envoy binary."""
        self.report("envoy")
        self._add("envoy", *envoy.envoy_layer(self.store, self.request.base.architecture, log=self.log))
        self.packages += python_packages(pins_of(envoy.LOCK))
        return self._image([names.ENVOY_BINARY], {})

    def prometheus(self) -> Image:
        """base and the Prometheus server."""
        self.report("prometheus")
        blob, created = prometheus.prometheus_layer(self.store, self.request.base, log=self.log)
        self._add("prometheus", blob, created)
        self.packages.append(("deb/debian", "prometheus", blob.fact("version")))
        return self._image([prometheus.BINARY], {})

    def collector(self) -> Image:
        """base and the OpenTelemetry Collector."""
        self.report("collector")
        blob, created = collector.collector_layer(self.store, self.request.base.architecture, log=self.log)
        self._add("collector", blob, created)
        self.packages += collector.packages()
        return self._image([names.COLLECTOR_BINARY], {})

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
            architecture=self.request.base.architecture,
            labels={
                "org.opencontainers.image.title": self.request.name,
                "org.opencontainers.image.vendor": "Headrace",
                f"{names.API_GROUP}/kind": self.request.kind.value,
            },
        )


def steps(kind: ImageKind) -> int:
    """Number of times `build` reports for an image of that kind."""
    return {
        ImageKind.MODEL: 6,
        ImageKind.CONTROL: 4,
        ImageKind.TABLES: 4,
        ImageKind.CONSOLE: 4,
        ImageKind.ENVOY: 3,
        ImageKind.PROMETHEUS: 3,
        ImageKind.COLLECTOR: 3,
    }[kind]
