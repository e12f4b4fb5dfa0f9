"""From a request to layers: order, reuse, identity. The base is a few bytes; resolver, wheels and layers are real."""

import subprocess
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import python_mirror

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images import site
from headrace.images.build import Assembled, assemble, build, describe, resolve, steps
from headrace.images.model import directory_listing, model_identity, model_layer
from headrace.images.request import Base, BaseKind, Delivery, DeliveryKind, ImageKind, ImageRequest, ModelInput
from headrace.images.store import Store

pytestmark = pytest.mark.slow  # half a second each, and many: real resolvers and installers

MakeWheel = Callable[..., str]
RequestFor = Callable[[Path], ImageRequest]
Assemble = Callable[..., Assembled]
OTHER_PYTHONS = [version for version in python_mirror.at_hand() if not version.startswith("3.11.")]
NOWHERE = Delivery(kind=DeliveryKind.CONTAINERD, address="/nowhere/c.sock", ctr="/bin/false")


def _model(directory: Path, *requirements: str) -> ModelInput:
    return ModelInput(
        source=str(directory),
        identity=model_identity(directory_listing(directory, hashed=True)),
        python="3.11.7",
        requirements=requirements,
    )


@pytest.fixture
def request_for(wheels: MakeWheel, small_base: Base) -> RequestFor:
    """Requests for models in local directories."""
    option = wheels("scorer", "2.0")

    def make(directory: Path) -> ImageRequest:
        model = _model(directory, option, "scorer")
        return ImageRequest(kind=ImageKind.MODEL, name="models/fraud", delivery=NOWHERE, base=small_base, model=model)

    return make


@pytest.fixture
def assembled(checkout: Path, log: Path) -> Assemble:
    """Assembles images with the locks and the code of a small checkout."""

    def make(request: ImageRequest, store: Store, *, pins: tuple[str, ...] = ()) -> Assembled:
        return assemble(request, store, pins=pins, log=log, report=lambda _: None, root=checkout)

    return make


def _digests(made: Assembled) -> dict[str, str]:
    return {name: blob.digest for name, blob, _ in made.layers}


def _created(made: Assembled) -> list[str]:
    return [name for name, _, created in made.layers if created]


def test_what_changes_more_often_lies_higher(
    request_for: RequestFor, checkout: Path, model_directory: Path, store: Store, log: Path
) -> None:
    said: list[str] = []

    made = assemble(request_for(model_directory), store, log=log, report=said.append, root=checkout)

    order = ["base", "front", "environment", "code", "sbom", "model"]
    assert [name for name, _, _ in made.layers] == _created(made) == order
    assert len(said) == steps(ImageKind.MODEL) - 1, "the last step is to deliver"
    assert made.pins == ("scorer==2.0",)


def test_the_same_model_again_gives_the_same_digest_and_makes_nothing(
    request_for: RequestFor, assembled: Assemble, model_directory: Path, store: Store, tmp_path: Path
) -> None:
    first = assembled(request_for(model_directory), store)
    second = assembled(request_for(model_directory), store)
    elsewhere = assembled(request_for(model_directory), Store(tmp_path / "elsewhere"))

    assert first.image.digest == second.image.digest == elsewhere.image.digest
    assert _created(second) == []


def test_builds_at_once_in_one_process_do_the_work_once(
    request_for: RequestFor, assembled: Assemble, model_directory: Path, store: Store
) -> None:
    """As Pulumi's provider process calls for several resources."""
    request = request_for(model_directory)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: assembled(request, Store(store.root)), range(4)))

    assert len({one.image.digest for one in made}) == 1
    created = [name for one in made for name in _created(one)]
    assert sorted(created) == ["base", "code", "environment", "front", "model", "sbom"]


def test_every_build_has_a_log_of_its_own(store: Store) -> None:
    assert len({store.new_log("model-fraud") for _ in range(50)}) == 50


def test_a_new_version_with_the_same_environment_adds_its_own_bytes_only(
    request_for: RequestFor, assembled: Assemble, model_directory: Path, store: Store
) -> None:
    first = assembled(request_for(model_directory), store)
    (model_directory / "data" / "weights.bin").write_bytes(b"new" * 5000)

    second = assembled(request_for(model_directory), store)

    assert _created(second) == ["model"]
    size = sum(path.stat().st_size for path in model_directory.rglob("*") if path.is_file())
    added = sum(blob.size for name, blob, _ in second.layers if blob.digest != _digests(first)[name])
    documents = 8192  # manifest and configuration
    assert added + documents <= size + 64 * 1024


def test_a_patched_base_gets_the_same_environment_and_model_from_another_machine(
    request_for: RequestFor, assembled: Assemble, make_base: Callable[[str], Base], wheels: MakeWheel, tmp_path: Path
) -> None:
    """Long after the model was logged, with an empty cache: nobody but the deployer is needed."""
    (tmp_path / "logged").mkdir()
    (tmp_path / "logged" / "MLmodel").write_text("flavors: {python_function: {}}\n")
    request = request_for(tmp_path / "logged")
    first = assembled(request, Store(tmp_path / "author"))
    wheels("scorer", "2.1")  # released since
    patched = replace(request, base=make_base("patched"))

    second = assembled(patched, Store(tmp_path / "deployer"), pins=first.pins)

    before, after = _digests(first), _digests(second)
    assert {name for name in before if before[name] != after[name]} == {"base", "sbom"}
    assert second.pins == first.pins
    assert second.image.digest != first.image.digest


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
    request_for: RequestFor, assembled: Assemble, wheels: MakeWheel, model_directory: Path, store: Store
) -> None:
    request = request_for(model_directory)

    assert resolve(request, store).pins == ("scorer==2.0",)
    wheels("scorer", "2.1")  # released between preview and update
    assert assembled(request, store).pins == ("scorer==2.0",)


def test_a_python_that_no_worker_runs_on_is_refused_before_anything_is_made(
    request_for: RequestFor, model_directory: Path, store: Store
) -> None:
    request = request_for(model_directory)
    assert request.model is not None
    request = replace(request, model=replace(request.model, python="3.7.16"))

    with pytest.raises(PermanentError, match=r"Python 3.7.16, must be 3.8 or later"):
        build(request, store, tell=lambda _: None)
    with pytest.raises(PermanentError, match=r"Python 3.7.16"):  # a preview asks for this
        describe(request)

    assert list((store.blobs / "sha256").iterdir()) == []


@pytest.mark.skipif(not OTHER_PYTHONS, reason="no interpreters in ~/.pyenv/versions to make a mirror of")
def test_a_model_of_another_python_brings_it_and_shares_the_front(
    request_for: RequestFor,
    assembled: Assemble,
    model_directory: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = OTHER_PYTHONS[0]
    minor = version.rpartition(".")[0]
    for name, value in python_mirror.make(store.root.parent / "mirror", version).items():
        monkeypatch.setenv(name, value)
    usual = request_for(model_directory)
    assert usual.model is not None
    older = replace(usual, model=replace(usual.model, python=version))

    assert resolve(older, store).pins == ("scorer==2.0",)
    first, second = assembled(usual, store), assembled(older, store)

    order = ["base", "front", "python", "environment", "code", "sbom", "model"]
    assert [name for name, _, _ in second.layers] == order
    assert "front" not in _created(second)
    blobs = {name: blob for name, blob, _ in second.layers}
    with tarfile.open(store.path(blobs["environment"].digest)) as tar:
        assert tar.getmember("opt/model/env/bin/python").linkname == f"/opt/model/python/bin/python{minor}"
        settings = tar.extractfile("opt/model/env/pyvenv.cfg")
        assert settings is not None
        assert b"home = /opt/model/python/bin\n" in settings.read()
        tag = f"cpython-{minor.replace('.', '')}"
        site_packages = f"opt/model/env/lib/python{minor}/site-packages"
        assert any(name.startswith(site_packages) and name.endswith(f"{tag}.pyc") for name in tar.getnames())
    assert describe(usual).platform_digest == describe(older).platform_digest
    assert describe(usual).environment_digest != describe(older).environment_digest
    assert _digests(first)["environment"] != _digests(second)["environment"]


def test_a_failed_build_says_one_sentence_then_where_its_log_is_and_how_that_ends(
    request_for: RequestFor, model_directory: Path, store: Store
) -> None:
    request = request_for(model_directory)
    assert request.model is not None
    asked = (*request.model.requirements, "scorer==9")
    request = replace(request, model=replace(request.model, requirements=asked))

    with pytest.raises(PermanentError) as caught:
        resolve(request, store)

    sentence, _, rest = str(caught.value).partition("\nBuild log: ")
    log, *tail = rest.splitlines()
    assert "scorer==9" in sentence
    assert Path(log).parent == store.root / "logs"
    assert set(tail) <= set(Path(log).read_text().splitlines())
    assert 1 <= len(tail) <= 30
    assert not set(sentence.splitlines()) & set(tail), "what was said is not said again"


def test_a_full_disk_is_a_failure_that_time_may_cure(model_directory: Path, store: Store) -> None:
    """A file where the cache has its temporary directory stands for a disk that takes no more."""
    request = ImageRequest(kind=ImageKind.MODEL, name="models/fraud", delivery=NOWHERE, model=_model(model_directory))
    (store.root / "temporary").rmdir()
    (store.root / "temporary").write_text("")

    with pytest.raises(TemporaryError, match=r"The build stopped: .*; free space or repair the directory"):
        build(request, store, tell=lambda _: None)


def test_a_description_needs_nothing_and_writes_nothing(model_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ImageRequest(kind=ImageKind.MODEL, name="models/fraud", delivery=NOWHERE, model=_model(model_directory))
    monkeypatch.setenv("PATH", "")
    before = sorted(model_directory.parent.rglob("*"))

    described = describe(request)

    assert described.platform_digest
    assert described.environment_digest
    assert sorted(model_directory.parent.rglob("*")) == before


def test_descriptions_change_with_what_they_describe(
    request_for: RequestFor, checkout: Path, model_directory: Path
) -> None:
    request = request_for(model_directory)
    assert request.model is not None
    described = describe(request, root=checkout)

    other = replace(request, model=replace(request.model, requirements=("scorer==2.0",)))
    assert describe(other, root=checkout).environment_digest != described.environment_digest
    assert describe(other, root=checkout).platform_digest == described.platform_digest
    patched = replace(request, base=replace(request.base, revision="2026-12"))
    assert describe(patched, root=checkout).platform_digest != described.platform_digest
    (checkout / "runtimes" / "serve.py").write_text("PORT = 8081\n")
    assert describe(request, root=checkout).platform_digest != described.platform_digest


def test_the_code_of_an_image_is_what_git_tracks_of_it(tmp_path: Path, store: Store, log: Path) -> None:
    """Neither bytecode nor what editors and tools leave beside it, nor the builder."""
    tracked = subprocess.run(
        ["git", "ls-files", "contract/*.py", "runtimes/*.py"],
        cwd=site.PACKAGE_ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    base = Base(kind=BaseKind.REGISTRY, reference="r", python_path="/usr/bin/python3.11")

    blob, _ = site.code_layer(store, site.PACKAGE_ROOT, ("contract", "runtimes"), base, log=log)

    with tarfile.open(store.path(blob.digest)) as tar:
        found = {member.name for member in tar if member.isfile() and "__pycache__" not in member.name}
    assert found == {f"opt/headrace/site/headrace/{path}" for path in tracked}


def test_committed_locks_have_hashes_and_name_no_index() -> None:
    for name in ("front", "control"):
        lock = site.lock_text(name)
        assert "--hash=sha256:" in lock
        assert "://" not in lock
