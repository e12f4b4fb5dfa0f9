"""Images for several architectures under one digest. The base is a few bytes; resolver, wheels and layers are real."""

import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import registry_server
from registry_server import RegistryServer

from headrace.contract.errors import PermanentError
from headrace.images import base as base_module
from headrace.images import site
from headrace.images.architecture import Architecture, of_this_machine
from headrace.images.build import build, describe, resolve
from headrace.images.deliver import deliver, in_registry
from headrace.images.model import directory_listing, model_identity
from headrace.images.oci import INDEX, Image, ImageIndex, write_image, write_index, write_layout
from headrace.images.request import Base, BaseKind, Delivery, DeliveryKind, ImageKind, ImageRequest, ModelInput
from headrace.images.resolver import Resolver
from headrace.images.store import Store
from headrace.images.tarball import Entry, write_layer

MakeWheel = Callable[..., str]
BOTH = (Architecture.AMD64, Architecture.ARM64)
AARCH64, X86_64 = "cp311-cp311-manylinux_2_28_aarch64", "cp311-cp311-manylinux_2_28_x86_64"
PROJECT = """\
[project]
name = "sources"
version = "1.0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """\
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = "sources-1.0.dist-info"
    files = {
        "sources.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: sources\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: TAG\\n",
    }
    with zipfile.ZipFile(f"{folder}/sources-1.0-TAG.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": "".join(f"{path},,\\n" for path in files)}.items():
            wheel.writestr(path, text)
    return "sources-1.0-TAG.whl"
"""


def image_for(store: Store, architecture: Architecture, *contents: bytes) -> Image:
    layers = [write_layer(store, [Entry(path=f"file-{n}", data=data)]) for n, data in enumerate(contents)]
    return write_image(store, layers, entrypoint=["/x"], environment={}, labels={}, architecture=architecture)


def index_of(store: Store, name: bytes) -> ImageIndex:
    return write_index(store, [image_for(store, each, name, each.machine.encode()) for each in BOTH])


def read(store: Store, digest: str) -> Any:
    return json.loads(store.path(digest).read_bytes())


@pytest.fixture
def base(tmp_path: Path, skopeo: None) -> Base:
    """A base of a few bytes for both architectures, in a directory instead of a registry."""
    store = Store(tmp_path / "registry")
    write_layout(store, index_of(store, b"base"), tmp_path / "base", reference="base")
    return Base(kind=BaseKind.REGISTRY, reference=f"oci:{tmp_path / 'base'}:base")


@pytest.fixture
def request_for(base: Base, model_directory: Path) -> Callable[..., ImageRequest]:
    def make(*requirements: str, needed: bool = True) -> ImageRequest:
        model = ModelInput(
            source=str(model_directory),
            identity=model_identity(directory_listing(model_directory, hashed=True)),
            python="3.11.7",
            requirements=requirements,
        )
        delivery = Delivery(kind=DeliveryKind.CONTAINERD, address="/c.sock", ctr="/bin/false")
        return ImageRequest(
            kind=ImageKind.MODEL,
            name="models/fraud",
            delivery=delivery,
            base=base,
            model=model,
            architectures=BOTH,
            is_each_needed=needed,
        )

    return make


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[Image | ImageIndex]:
    """What builds deliver, which goes nowhere; and the platform's own packages are none."""
    found: list[Image | ImageIndex] = []

    def keep(_store: Store, image: Image | ImageIndex, *, name: str, delivery: Delivery, log: Path) -> str:
        found.append(image)
        return f"headrace.local/{name}@{image.digest}"

    monkeypatch.setattr("headrace.images.build.deliver", keep)
    monkeypatch.setattr("headrace.images.site.lock_text", lambda name, root=None: "")
    return found


def test_an_index_names_the_image_of_each_architecture(store: Store) -> None:
    index = index_of(store, b"model")

    document = read(store, index.digest)
    assert document["mediaType"] == INDEX
    assert [entry["platform"]["architecture"] for entry in document["manifests"]] == ["amd64", "arm64"]
    for entry, image in zip(document["manifests"], index.images, strict=True):
        assert entry["digest"] == image.digest
        assert entry["size"] == len(store.path(image.digest).read_bytes())
        assert read(store, image.config_digest)["architecture"] == image.architecture
    assert write_index(store, index.images).digest == index.digest
    shared = index.images[0].layers[0].digest
    assert index.blobs.count(shared) == 1, "what both have is there once"


@pytest.mark.slow
def test_an_image_for_both_has_the_wheels_of_each_and_shares_the_rest(
    request_for: Callable[..., ImageRequest], wheels: MakeWheel, store: Store, delivered: list[ImageIndex]
) -> None:
    wheels("fast", "1.0", files={"fast/__init__.py": "MACHINE = 'aarch64'\n"}, tag=AARCH64)
    option = wheels("fast", "1.0", files={"fast/__init__.py": "MACHINE = 'x86_64'\n"}, tag=X86_64)

    made = build(request_for(option, "fast"), store, tell=lambda _: None)

    assert made.architectures == BOTH
    assert made.image.endswith(delivered[0].digest)
    for image in delivered[0].images:
        texts = []
        for layer in image.layers:
            with tarfile.open(store.path(layer.digest)) as tar:
                for member in tar:
                    if member.name.endswith("fast/__init__.py"):
                        texts.append(tar.extractfile(member).read())  # type: ignore[union-attr]
        assert texts == [f"MACHINE = {image.architecture.machine!r}\n".encode()]
    same = [name for name in ("code", "model") if made.layers[f"amd64/{name}"] == made.layers[f"arm64/{name}"]]
    assert same == ["code", "model"]
    bases = [image.layers[1].digest for image in delivered[0].images]
    assert bases[0] != bases[1]


@pytest.mark.slow
def test_packages_keep_their_versions_on_every_architecture(
    request_for: Callable[..., ImageRequest], wheels: MakeWheel, store: Store, delivered: list[ImageIndex]
) -> None:
    for tag in (AARCH64, X86_64):
        wheels("fast", "1.0", tag=tag)
    option = wheels("fast", "2.0", tag=AARCH64)

    made = build(request_for(option, "fast"), store, tell=lambda _: None)

    assert made.pins == ("fast==1.0",)
    locks = set()
    for image in delivered[0].images:
        for layer in image.layers:
            with tarfile.open(store.path(layer.digest)) as tar:
                if "opt/model/env/requirements.lock" in tar.getnames():
                    lock = tar.extractfile("opt/model/env/requirements.lock")
                    locks.add(lock.read().split()[0])  # type: ignore[union-attr]
    assert locks == {b"fast==1.0"}


@pytest.mark.slow
def test_a_package_without_a_wheel_for_one_architecture_is_named_and_the_other_is_built(
    request_for: Callable[..., ImageRequest], wheels: MakeWheel, store: Store, delivered: list[Image]
) -> None:
    option = wheels("only-intel", "1.0", tag=X86_64)

    resolved = resolve(request_for(option, "only-intel", needed=False), store)
    made = build(request_for(option, "only-intel", needed=False), store, tell=lambda _: None)

    assert resolved.architectures == made.architectures == (Architecture.AMD64,)
    (note,) = resolved.notes
    assert note.startswith("no image for arm64: The model's requirements cannot be resolved for Python 3.11 on aarch64")
    assert "only-intel" in note
    assert "Build log" not in note
    (image,) = delivered
    assert isinstance(image, Image), "one architecture needs no index"
    with pytest.raises(PermanentError, match="only-intel"):
        resolve(request_for(option, "only-intel"), Store(store.root.parent / "wanted"))


@pytest.mark.slow
@pytest.mark.parametrize("tag", ["py3-none-any", f"cp311-cp311-linux_{of_this_machine().machine}"])
def test_a_preview_builds_what_has_no_wheel_to_see_whether_it_is_python_alone(
    request_for: Callable[..., ImageRequest], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    """The backend writes a wheel of that tag, as one that calls a compiler does of its machine's."""
    package = tmp_path / "sources-1.0"
    package.mkdir()
    (package / "pyproject.toml").write_text(PROJECT)
    (package / "PKG-INFO").write_text("Metadata-Version: 2.2\nName: sources\nVersion: 1.0\n")
    (package / "backend.py").write_text(BACKEND.replace("TAG", tag))
    (tmp_path / "sdists").mkdir()
    with tarfile.open(tmp_path / "sdists" / "sources-1.0.tar.gz", "w:gz") as tar:
        tar.add(package, package.name)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))

    resolved = resolve(request_for(f"--no-index --find-links {tmp_path / 'sdists'}", "sources", needed=False), store)

    if tag == "py3-none-any":
        assert (resolved.architectures, resolved.notes) == (BOTH, ())
    else:
        assert resolved.architectures == (of_this_machine(),)
        assert "The package sources 1.0 has no wheel for " in resolved.notes[0]
        assert " and is compiled where it is built, " in resolved.notes[0]


@pytest.mark.slow
def test_a_library_in_the_models_code_decides_where_it_runs(
    request_for: Callable[..., ImageRequest], model_directory: Path, store: Store, delivered: list[Image]
) -> None:
    (model_directory / "code").mkdir()
    (model_directory / "code" / "fast.so").write_bytes(b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\x00")

    made = build(request_for(needed=False), store, tell=lambda _: None)

    assert made.architectures == (Architecture.ARM64,)
    assert "code/fast.so is compiled for aarch64" in made.notes[0]
    amd64 = replace(request_for(), architectures=(Architecture.AMD64,))
    with pytest.raises(PermanentError, match=r"code/fast\.so is compiled for aarch64, and an image for amd64 needs it"):
        build(amd64, store, tell=lambda _: None)


@pytest.mark.slow
def test_a_base_for_another_architecture_alone_is_refused(
    make_base: Callable[[str], Base], store: Store, log: Path
) -> None:
    base = replace(make_base("small"), architecture=Architecture.ARM64)

    with pytest.raises(PermanentError, match=r"small:base' has no image for arm64; name one that has, or leave arm64"):
        base_module.base_layers(store, base, log=log)


def test_what_is_made_for_one_architecture_is_known_by_the_same_digest_as_ever(
    model_directory: Path, base: Base
) -> None:
    request = ImageRequest(
        kind=ImageKind.ENVOY,
        name="platform/envoy",
        delivery=Delivery(kind=DeliveryKind.CONTAINERD, address="/c"),
        base=base,
    )

    one, both = describe(request), describe(replace(request, architectures=BOTH))

    assert one == describe(request.of(Architecture.AMD64))
    assert both.platform_digest not in {one.platform_digest, describe(request.of(Architecture.ARM64)).platform_digest}


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["control", "front"])
@pytest.mark.parametrize("architecture", BOTH)
def test_the_platforms_own_packages_have_wheels_for_each(
    lock: str, architecture: Architecture, log: Path, tmp_path: Path
) -> None:
    resolver = Resolver(python="3.11", platform=f"{architecture.machine}-manylinux_2_28", log=log)

    assert resolver.without_wheel(site.lock_text(lock), scratch=tmp_path) == []


# --- delivery --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_containerd_keeps_of_an_index_what_the_node_runs(
    store: Store, log: Path, containerd: Delivery, ctr: Callable[..., str]
) -> None:
    index = index_of(store, b"of both")
    own, other = index.images
    for digest in other.blobs:
        if digest not in own.blobs and digest not in index.documents:
            store.path(digest).unlink()  # a blob that travelled would have to be read

    reference = deliver(store, index, name="models/both", delivery=containerd, log=log)
    again = deliver(store, index, name="models/both", delivery=containerd, log=log)

    assert reference == again == f"headrace.local/models/both@{index.digest}"
    assert log.read_text().count("images import") == 1
    assert reference in ctr("images", "ls", "--quiet").split()
    held = ctr("content", "ls", "--quiet").split()
    assert {index.digest, *own.blobs} <= {*held}
    assert other.layers[1].digest not in held


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, skopeo: None) -> Iterator[RegistryServer]:
    with registry_server.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.mark.slow
def test_a_registry_hands_each_node_the_image_for_its_processor(
    store: Store, log: Path, tmp_path: Path, server: RegistryServer
) -> None:
    index = index_of(store, b"of both")
    delivery = Delivery(kind=DeliveryKind.REGISTRY, repository=f"{server.address}/team", plain_http=True)

    reference = deliver(store, index, name="models/both", delivery=delivery, log=log)
    uploads = server.uploads
    assert deliver(store, index, name="models/both", delivery=delivery, log=log) == reference
    assert server.uploads == uploads

    assert in_registry(reference, delivery) is True
    for architecture in BOTH:
        copy = tmp_path / architecture
        command = ["skopeo", "--insecure-policy", f"--override-arch={architecture}", "copy", "--src-tls-verify=false"]
        subprocess.run([*command, f"docker://{reference}", f"dir:{copy}"], check=True, capture_output=True)
        base = Base(kind=BaseKind.REGISTRY, reference=f"dir:{copy}", architecture=architecture)
        layers = base_module.base_layers(Store(tmp_path / f"{architecture}-store"), base, log=log).layers
        expected = next(image for image in index.images if image.architecture is architecture)
        assert [layer.diff_id for layer in layers] == [layer.diff_id for layer in expected.layers]
