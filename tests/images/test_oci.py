"""Image documents: what the same content gives, and what an archive leaves out."""

import json
import tarfile
from pathlib import Path

from headrace.contract import names
from headrace.images.oci import Image, write_archive, write_image, write_layout
from headrace.images.store import Store
from headrace.images.tarball import Entry, write_layer


def _image(store: Store, *, content: bytes = b"one", environment: dict[str, str] | None = None) -> Image:
    layers = [write_layer(store, [Entry(path="x", data=data)]) for data in (b"base", content)]
    variables = {"B": "2", "A": "1"} if environment is None else environment
    return write_image(store, layers, entrypoint=["/x"], environment=variables, labels={"l": "1"})


def _json(store: Store, digest: str) -> dict[str, object]:
    value: dict[str, object] = json.loads(store.path(digest).read_bytes())
    return value


def test_the_same_content_gives_the_same_digest_in_another_cache(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")

    assert _image(store).digest == _image(other, environment={"A": "1", "B": "2"}).digest
    assert _image(store).digest != _image(store, content=b"two").digest


def test_containers_run_as_a_numeric_user_that_is_not_root(store: Store) -> None:
    config = _json(store, _image(store).config_digest)["config"]

    assert config["User"] == f"{names.RUN_AS_USER}:{names.RUN_AS_USER}"  # type: ignore[index]
    assert config["Env"] == ["A=1", "B=2"]  # type: ignore[index]


def test_the_manifest_names_layers_from_the_bottom(store: Store) -> None:
    image = _image(store)

    manifest = _json(store, image.digest)
    assert [layer["digest"] for layer in manifest["layers"]] == [blob.digest for blob in image.layers]  # type: ignore[attr-defined]
    rootfs = _json(store, image.config_digest)["rootfs"]
    assert rootfs["diff_ids"] == [blob.diff_id for blob in image.layers]  # type: ignore[index]


def test_an_archive_names_the_image_and_holds_all_blobs(store: Store, tmp_path: Path) -> None:
    image = _image(store)

    write_archive(store, image, ["headrace.local/x@" + image.digest], tmp_path / "image.tar")

    with tarfile.open(tmp_path / "image.tar") as tar:
        names_found = set(tar.getnames())
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
    assert names_found == {"oci-layout", "index.json"} | {f"blobs/sha256/{digest[7:]}" for digest in image.blobs}
    (manifest,) = index["manifests"]
    assert manifest["annotations"]["io.containerd.image.name"] == "headrace.local/x@" + image.digest


def test_a_layout_shares_its_blobs_with_the_store(store: Store, tmp_path: Path) -> None:
    image = _image(store)

    write_layout(store, image, tmp_path / "layout", reference="tag")

    blob = tmp_path / "layout" / "blobs" / "sha256" / image.digest[7:]
    assert blob.samefile(store.path(image.digest))
