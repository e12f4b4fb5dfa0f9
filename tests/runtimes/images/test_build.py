"""From a request to layers: order, reuse, identity. The base is a few bytes; resolver, wheels and layers are real."""

import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.contract.image import (
    Base,
    Delivery,
    DeliveryKind,
    ImageKind,
    ImageRequest,
    ImageResult,
    ModelInput,
    directory_listing,
    model_identity,
)
from headrace.runtimes.images import build as build_module
from headrace.runtimes.images import site
from headrace.runtimes.images.base import BaseLayers
from headrace.runtimes.images.build import build, describe, steps
from headrace.runtimes.images.model import model_layer
from headrace.runtimes.images.oci import Image
from headrace.runtimes.images.store import Store
from headrace.runtimes.images.tarball import Entry, write_layer

pytestmark = pytest.mark.slow  # half a second each, and many: real resolvers and installers

MakeWheel = Callable[..., str]
REGISTRY = Delivery(kind=DeliveryKind.REGISTRY, repository="registry.example/team")


def _model(directory: Path, *requirements: str) -> ModelInput:
    return ModelInput(
        source=str(directory),
        identity=model_identity(directory_listing(directory, hashed=True)),
        python="3.11.7",
        requirements=requirements,
    )


def _small_base(store: Store, base: Base, *, log: Path) -> BaseLayers:
    content = Entry(path="etc/x", data=f"x{base.revision}".encode())
    layer, created = store.layer(f"small{base.revision}", lambda scratch: write_layer(store, [content]))
    return BaseLayers(layers=(layer,), created=created, python=base.python)


@pytest.fixture
def request_for(wheels: MakeWheel, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], ImageRequest]:
    """Requests for models in local directories; the front's lock is empty and nothing is delivered."""
    option = wheels("scorer", "2.0")
    monkeypatch.setattr(site, "lock_text", lambda name: "")
    monkeypatch.setattr(build_module, "_CODE", {ImageKind.MODEL: ("front", ("contract",))})
    monkeypatch.setattr(build_module.base_module, "base_layers", _small_base)
    for module in (build_module.environment, site):  # tested by itself; here it would only take time
        monkeypatch.setattr(module, "compile_tree", lambda *_, **__: None)
    monkeypatch.setattr(build_module.base_module, "compiler", lambda *_, **__: None)

    def deliver(store: Store, image: Image, **_: object) -> tuple[str, frozenset[str]]:
        return f"registry.example/x@{image.digest}", frozenset()

    monkeypatch.setattr(build_module, "deliver", deliver)

    def make(directory: Path) -> ImageRequest:
        model = _model(directory, option, "scorer")
        return ImageRequest(kind=ImageKind.MODEL, name="models/fraud", delivery=REGISTRY, model=model)

    return make


def _build(request: ImageRequest, store: Store, log: Path) -> tuple[ImageResult, list[str]]:
    said: list[str] = []
    return build(request, store, log=log, report=said.append), said


def test_what_changes_more_often_lies_higher(
    request_for: Callable[[Path], ImageRequest], model_directory: Path, store: Store, log: Path
) -> None:
    result, said = _build(request_for(model_directory), store, log)

    assert [layer.name for layer in result.layers] == ["base", "front", "environment", "code", "sbom", "model"]
    assert all(layer.created for layer in result.layers)
    assert len(said) == steps(ImageKind.MODEL)
    assert result.pins == ("scorer==2.0",)


def test_the_same_model_again_gives_the_same_digest_and_makes_nothing(
    request_for: Callable[[Path], ImageRequest], model_directory: Path, store: Store, log: Path, tmp_path: Path
) -> None:
    first, _ = _build(request_for(model_directory), store, log)
    second, _ = _build(request_for(model_directory), store, log)
    elsewhere, _ = _build(request_for(model_directory), Store(tmp_path / "elsewhere"), log)

    assert first.digest == second.digest == elsewhere.digest
    assert not any(layer.created for layer in second.layers)


def test_a_new_version_with_the_same_environment_adds_its_own_bytes_only(
    request_for: Callable[[Path], ImageRequest], model_directory: Path, store: Store, log: Path
) -> None:
    first, _ = _build(request_for(model_directory), store, log)
    (model_directory / "data" / "weights.bin").write_bytes(b"new" * 5000)

    second, _ = _build(request_for(model_directory), store, log)

    assert [layer.name for layer in second.layers if layer.created] == ["model"]
    size = sum(path.stat().st_size for path in model_directory.rglob("*") if path.is_file())
    held = {layer.digest for layer in first.layers}
    added = sum(layer.size for layer in second.layers if layer.digest not in held)
    documents = 8192  # manifest and configuration
    assert added + documents <= size + 64 * 1024


def test_a_patched_base_gets_the_same_environment_and_model_from_another_machine(
    request_for: Callable[[Path], ImageRequest], wheels: MakeWheel, model_directory: Path, log: Path, tmp_path: Path
) -> None:
    """Long after the model was logged, with an empty cache: nobody but the deployer is needed."""
    request = request_for(model_directory)
    first, _ = _build(request, Store(tmp_path / "author"), log)
    wheels("scorer", "2.1")  # released since
    patched = replace(request, base=replace(request.base, revision="2026-12"), pins=first.pins)

    second, _ = _build(patched, Store(tmp_path / "deployer"), log)

    before, after = ({layer.name: layer.digest for layer in made.layers} for made in (first, second))
    assert {name for name in before if before[name] != after[name]} == {"base"}
    assert second.pins == first.pins
    assert second.digest != first.digest


def test_the_model_is_in_its_layer_as_it_was_logged(model_directory: Path, store: Store, log: Path) -> None:
    blob, _ = model_layer(store, _model(model_directory), log=log)

    with tarfile.open(store.path(blob.digest)) as tar:
        weights = tar.extractfile("opt/model/model/data/weights.bin")
        assert weights is not None
        assert weights.read() == (model_directory / "data" / "weights.bin").read_bytes()


def test_a_model_that_changed_since_it_was_resolved_is_refused(model_directory: Path, store: Store, log: Path) -> None:
    model = _model(model_directory)
    (model_directory / "data" / "weights.bin").write_bytes(b"other")

    with pytest.raises(PermanentError, match="changed while it was read"):
        model_layer(store, model, log=log)


def test_a_model_directory_that_is_gone_is_named(model_directory: Path, store: Store, log: Path) -> None:
    model = _model(model_directory)
    model_directory.rename(model_directory.with_name("moved"))

    with pytest.raises(PermanentError, match="does not exist on this machine"):
        model_layer(store, model, log=log)


def test_what_a_preview_resolved_is_what_is_built(
    request_for: Callable[[Path], ImageRequest], wheels: MakeWheel, model_directory: Path, store: Store, log: Path
) -> None:
    request = request_for(model_directory)

    assert build_module.resolve(request, store, log=log) == ("scorer==2.0",)
    wheels("scorer", "2.1")  # released between preview and update
    assert _build(request, store, log)[0].pins == ("scorer==2.0",)


@pytest.mark.parametrize(
    "case",
    [
        ("3.13.5", "log it with Python 3.11, or leave the base's Python open: bases made here can have 3.11 or 3.13"),
        ("3.12.1", "log it with Python 3.11 or 3.13, or name a base that has 3.12: base = {.*python:3.12-slim"),
        ("3.9.18", "log it with Python 3.11 or 3.13; the server in front of the model needs 3.11 or later"),
        ("3", "log it with Python 3.11 or 3.13; the server in front of the model needs 3.11 or later"),
    ],
)
def test_a_python_that_cannot_be_had_is_refused_before_anything_is_made(
    request_for: Callable[[Path], ImageRequest],
    model_directory: Path,
    tmp_path: Path,
    case: tuple[str, str],
) -> None:
    logged, remedy = case
    store, log = Store(tmp_path / "cache"), tmp_path / "log"
    request = request_for(model_directory)
    assert request.model is not None
    request = replace(request, model=replace(request.model, python=logged))

    with pytest.raises(PermanentError, match=f"Python {logged}, and the base has 3.11; {remedy}"):
        _build(request, store, log)
    with pytest.raises(PermanentError, match=f"Python {logged}"):  # a preview asks for this
        describe(request)

    assert list((store.blobs / "sha256").iterdir()) == []


def test_descriptions_change_with_what_they_describe(
    request_for: Callable[[Path], ImageRequest], model_directory: Path
) -> None:
    request = request_for(model_directory)
    assert request.model is not None
    described = describe(request)

    other = replace(request, model=replace(request.model, requirements=("scorer==2.0",)))
    assert describe(other).environment_digest != described.environment_digest
    assert describe(other).platform_digest == described.platform_digest
    patched = replace(request, base=replace(request.base, revision="2026-12"))
    assert describe(patched).platform_digest != described.platform_digest


def test_the_code_of_an_image_is_without_tests_bytecode_and_the_builder() -> None:
    names = {path.relative_to(site.PACKAGE_ROOT).as_posix() for path in site._sources(("contract", "runtimes"))}

    assert "contract/names.py" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("runtimes/images/")]


def test_committed_locks_have_hashes_and_name_no_index() -> None:
    for name in ("front", "control"):
        lock = site.lock_text(name)
        assert "--hash=sha256:" in lock
        assert "://" not in lock
