"""Delivery into a real containerd of our own (slow) and into kind, and what is said when it fails.

kind is a stand-in program: there is neither a container engine nor a node image where these tests run.
"""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.images.deliver import deliver, on_nodes
from headrace.images.oci import Image, write_image
from headrace.images.request import Delivery, DeliveryKind
from headrace.images.store import Store
from headrace.images.tarball import Entry, write_layer


def _image(store: Store, *contents: bytes) -> Image:
    layers = [write_layer(store, [Entry(path=f"file-{n}", data=data)]) for n, data in enumerate(contents)]
    return write_image(store, layers, entrypoint=["/x"], environment={}, labels={})


# --- containerd ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_containerd_holds_the_image_under_its_digest(
    store: Store, log: Path, containerd: Delivery, ctr: Callable[..., str]
) -> None:
    image = _image(store, b"base one", b"model one")

    reference = deliver(store, image, name="models/one", delivery=containerd, log=log)

    assert reference == f"headrace.local/models/one@{image.digest}"
    assert reference in ctr("images", "ls", "--quiet").split()
    assert reference in (on_nodes(containerd) or ())


@pytest.mark.slow
def test_only_blobs_that_are_missing_travel(
    store: Store, log: Path, containerd: Delivery, ctr: Callable[..., str]
) -> None:
    first, second = _image(store, b"base two", b"model 1"), _image(store, b"base two", b"model 2")
    deliver(store, first, name="models/two", delivery=containerd, log=log)
    store.path(first.layers[0].digest).unlink()  # a blob that travelled would have to be read

    deliver(store, second, name="models/two", delivery=containerd, log=log)

    ctr("images", "rm", "--sync", f"headrace.local/models/two@{first.digest}")
    assert second.layers[0].digest in ctr("content", "ls", "--quiet").split()  # the second image holds on to it


@pytest.mark.slow
def test_an_image_that_was_removed_is_noticed_and_brought_back(
    store: Store, log: Path, containerd: Delivery, ctr: Callable[..., str]
) -> None:
    image = _image(store, b"base three", b"model")
    reference = deliver(store, image, name="models/three", delivery=containerd, log=log)
    ctr("images", "rm", "--sync", reference)

    assert reference not in (on_nodes(containerd) or {reference})
    deliver(store, image, name="models/three", delivery=containerd, log=log)
    assert reference in (on_nodes(containerd) or ())


def test_a_containerd_that_does_not_answer_has_lost_nothing(store: Store, log: Path, tmp_path: Path) -> None:
    delivery = _with_program(tmp_path, "ctr", "echo 'ctr: failed to dial: connection refused' >&2; exit 1")

    assert on_nodes(delivery) is None
    with pytest.raises(TemporaryError, match=r"does not answer, ctr says: .*connection refused; start the cluster"):
        deliver(store, _image(store, b"x"), name="x", delivery=delivery, log=log)


def test_an_import_that_fails_for_a_collected_blob_is_tried_with_all(store: Store, log: Path, tmp_path: Path) -> None:
    image = _image(store, b"base", b"model")
    held = image.layers[0].digest
    program = f"""case "$*" in
*"content ls"*) echo {held};;
*"images ls"*) ;;
*import*) cat > {tmp_path}/archive; tar -tf {tmp_path}/archive | grep -q {held[7:]} || {{ echo 'not found'; exit 1; }};;
esac"""
    delivery = _with_program(tmp_path, "ctr", program)

    assert deliver(store, image, name="x", delivery=delivery, log=log).endswith(image.digest)

    assert "not found" in log.read_text()


def test_an_import_that_fails_says_why(store: Store, log: Path, tmp_path: Path) -> None:
    program = 'case "$*" in *import*) echo "ctr: no space left on device"; exit 1;; esac'

    with pytest.raises(TemporaryError, match="could not be imported, ctr says: ctr: no space left on device"):
        deliver(store, _image(store, b"x"), name="x", delivery=_with_program(tmp_path, "ctr", program), log=log)


def test_a_ctr_that_is_not_there_is_named(store: Store, log: Path, tmp_path: Path) -> None:
    delivery = Delivery(kind=DeliveryKind.CONTAINERD, address="/c.sock", ctr=str(tmp_path / "ctr"))

    with pytest.raises(PermanentError, match=r"delivery\.ctr = '.*/ctr' does not exist"):
        deliver(store, _image(store, b"x"), name="x", delivery=delivery, log=log)


def _with_program(folder: Path, name: str, script: str) -> Delivery:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Delivery(kind=DeliveryKind.CONTAINERD, address="/nowhere/c.sock", ctr=str(program))


# --- kind ------------------------------------------------------------------------------------------------------------


def test_an_image_for_a_stand_in_of_kind_is_loaded_as_an_archive(
    store: Store, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _image(store, b"x")
    _with_program(tmp_path, "kind", f'echo "$@" > {tmp_path}/called; cp "$3" {tmp_path}/archive')
    _with_program(tmp_path, "docker", f"echo headrace.local/x@{image.digest}")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    delivery = Delivery(kind=DeliveryKind.KIND, cluster="dev")

    reference = deliver(store, image, name="x", delivery=delivery, log=log)

    assert reference == f"headrace.local/x@{image.digest}"
    assert (tmp_path / "called").read_text().split()[-1] == "--name=dev"
    assert (tmp_path / "archive").stat().st_size > 0
    assert on_nodes(delivery) == {reference}


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ({"kind": "containerd"}, ["address is missing"]),
        ({"kind": "registry", "adress": "x"}, ["adress is unknown", "repository is missing"]),
        ({}, ["kind is missing"]),
    ],
)
def test_every_fault_of_a_delivery_is_reported_at_once(value: dict[str, str], faults: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Delivery.from_json(value)

    assert all(fault in str(caught.value) for fault in faults)
    assert len(caught.value.faults) == len(faults)
