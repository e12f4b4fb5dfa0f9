"""Delivery to a real registry: what is pushed, what is not pushed again, and what is said when it refuses."""

import base64
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import registry_server
from registry_server import PASSWORD, USER, RegistryServer

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images import base as base_module
from headrace.images.deliver import deliver, in_registry
from headrace.images.oci import Image, write_image
from headrace.images.request import Base, BaseKind, Delivery, DeliveryKind
from headrace.images.store import Store
from headrace.images.tarball import Entry, write_layer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("skopeo")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server.running(tmp_path_factory.mktemp("guarded"), password=True) as found:
        yield found


def _to(server: RegistryServer) -> Delivery:
    return Delivery(kind=DeliveryKind.REGISTRY, repository=f"{server.address}/team", plain_http=True)


def _image(store: Store, *contents: bytes) -> Image:
    layers = [write_layer(store, [Entry(path=f"file-{n}", data=data)]) for n, data in enumerate(contents)]
    return write_image(store, layers, entrypoint=["/x"], environment={}, labels={})


@pytest.fixture
def log_in(tmp_path: Path, guarded: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Leaves behind what `skopeo login` with that password does; None is nobody."""

    def call(password: str | None) -> None:
        entry = {} if password is None else {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}
        (tmp_path / "auth.json").write_text(json.dumps({"auths": {guarded.address: entry}}))
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))

    return call


def test_a_pushed_image_is_pinned_by_the_registrys_digest(store: Store, log: Path, server: RegistryServer) -> None:
    reference = deliver(store, _image(store, b"base", b"model"), name="models/x", delivery=_to(server), log=log)

    assert reference.startswith(f"{server.address}/team/models/x@sha256:")
    assert in_registry(reference, _to(server)) is True
    assert in_registry(reference[:-64] + "0" * 64, _to(server)) is False


def test_an_image_that_the_registry_has_is_not_pushed_again(
    store: Store, log: Path, tmp_path: Path, server: RegistryServer
) -> None:
    image = _image(store, b"base of the second", b"model of the second")
    first = deliver(store, image, name="models/second", delivery=_to(server), log=log)
    uploads, manifests = server.uploads, server.answered("PUT", "/manifests/")

    elsewhere = Store(tmp_path / "another machine's cache")
    again = deliver(
        elsewhere, _image(elsewhere, b"base of the second", b"model of the second"),
        name="models/second", delivery=_to(server), log=log,
    )  # fmt: skip

    assert again == first
    assert (server.uploads, server.answered("PUT", "/manifests/")) == (uploads, manifests)


def test_a_new_version_sends_its_own_layer_and_no_other(store: Store, log: Path, server: RegistryServer) -> None:
    deliver(store, _image(store, b"shared" * 999, b"v1"), name="models/third", delivery=_to(server), log=log)
    before = server.uploads

    deliver(store, _image(store, b"shared" * 999, b"v2"), name="models/third", delivery=_to(server), log=log)

    assert server.uploads - before == 2  # the model's layer and the configuration that names it


def test_what_was_pushed_comes_back_as_it_was(store: Store, log: Path, tmp_path: Path, server: RegistryServer) -> None:
    image = _image(store, b"base", b"what the model knows")
    reference = deliver(store, image, name="models/fourth", delivery=_to(server), log=log)
    elsewhere = Store(tmp_path / "elsewhere")
    copy = tmp_path / "copy"

    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", f"docker://{reference}", f"dir:{copy}"],
        check=True, capture_output=True,
    )  # fmt: skip
    layers = base_module.base_layers(elsewhere, Base(kind=BaseKind.REGISTRY, reference=f"dir:{copy}"), log=log).layers

    assert [layer.diff_id for layer in layers] == [layer.diff_id for layer in image.layers]
    with tarfile.open(elsewhere.path(layers[1].digest)) as tar:
        content = tar.extractfile("file-1")
        assert content is not None
        assert content.read() == b"what the model knows"


def test_a_registry_with_a_password_takes_the_image_of_who_is_logged_in(
    store: Store, log: Path, guarded: RegistryServer, log_in: Callable[[str | None], None]
) -> None:
    log_in(PASSWORD)

    reference = deliver(store, _image(store, b"x"), name="models/x", delivery=_to(guarded), log=log)

    assert in_registry(reference, _to(guarded)) is True
    assert PASSWORD not in log.read_text()


@pytest.mark.parametrize("password", [None, "wrong horse"])
def test_a_registry_that_refuses_says_what_to_do(
    store: Store, log: Path, guarded: RegistryServer, log_in: Callable[[str | None], None], password: str | None
) -> None:
    log_in(password)
    before = guarded.uploads

    with pytest.raises(PermanentError) as caught:
        deliver(store, _image(store, b"y"), name="models/y", delivery=_to(guarded), log=log)

    assert f"The registry refused the image {guarded.address}/team/models/y" in str(caught.value)
    assert f"log in with `skopeo login {guarded.address}`" in str(caught.value)
    assert guarded.uploads == before
    reference = f"{guarded.address}/team/models/y@sha256:{'0' * 64}"
    assert in_registry(reference, _to(guarded)) is None, "a refusal does not say that the image is gone"


def test_a_registry_that_is_down_has_lost_nothing_and_goes_on_when_it_is_back(
    store: Store, log: Path, tmp_path: Path
) -> None:
    image = _image(store, b"base", b"model")
    folder = tmp_path / "registry"
    with registry_server.running(folder) as server:
        first = deliver(store, image, name="models/x", delivery=_to(server), log=log)
    newer = _image(store, b"base", b"newer model")

    with pytest.raises(TemporaryError, match=rf"could not be pushed to {server.address}/team/models/x, .*refused"):
        deliver(store, newer, name="models/x", delivery=_to(server), log=log)
    assert in_registry(first, _to(server)) is None

    with registry_server.running(folder, port=int(server.address.rpartition(":")[2])):
        assert in_registry(first, _to(server)) is True
        second = deliver(store, newer, name="models/x", delivery=_to(server), log=log)
        assert in_registry(second, _to(server)) is True
