"""A model's files: what a link in its directory becomes, and what is refused before anything is built."""

import os
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.images import tracking_server
from headrace.images.model import directory_listing, fetch, model_identity, model_layer
from headrace.images.request import ModelInput
from headrace.images.store import Store

HOME = "opt/model/model"


def _model(directory: Path) -> ModelInput:
    identity = model_identity(directory_listing(directory, hashed=True))
    return ModelInput(source=str(directory), identity=identity, python="3.11.7", requirements=())


def _layer(store: Store, directory: Path, log: Path) -> dict[str, bytes]:
    """Content of every file in the model's layer."""
    blob, _ = model_layer(store, _model(directory), log=log)
    with tarfile.open(store.path(blob.digest)) as tar:
        members = {member.name: member for member in tar}
        assert not [name for name, member in members.items() if member.issym() or member.islnk()]
        files = {name: tar.extractfile(member) for name, member in members.items() if member.isfile()}
        return {name.removeprefix(f"{HOME}/"): file.read() for name, file in files.items() if file is not None}


def test_a_snapshot_that_links_to_files_beside_it_is_in_the_image_whole(
    model_directory: Path, store: Store, log: Path
) -> None:
    """As the Hugging Face Hub keeps models: snapshots/REVISION/weights links to ../../blobs/DIGEST."""
    blobs = model_directory.parent / "blobs"
    blobs.mkdir()
    (blobs / "abc").write_bytes(b"weights")
    (model_directory / "data" / "model.safetensors").symlink_to("../../blobs/abc")
    (model_directory / "shards").symlink_to(blobs)
    (model_directory / "alias").symlink_to("MLmodel")

    files = _layer(store, model_directory, log)

    assert files["data/model.safetensors"] == files["shards/abc"] == b"weights"
    assert files["alias"] == files["MLmodel"] == (model_directory / "MLmodel").read_bytes()


def test_what_a_link_leads_to_is_part_of_what_the_model_is_known_by(model_directory: Path) -> None:
    blobs = model_directory.parent / "blobs"
    blobs.mkdir()
    (blobs / "abc").write_bytes(b"weights")
    (model_directory / "shards").symlink_to(blobs)
    before = _model(model_directory).identity

    (blobs / "abc").write_bytes(b"changed")

    assert _model(model_directory).identity != before


def test_a_directory_without_links_is_the_model_that_it_was(model_directory: Path, store: Store, log: Path) -> None:
    (model_directory / "empty").mkdir()

    files = _layer(store, model_directory, log)

    assert sorted(files) == ["MLmodel", "data/weights.bin"]
    assert [name for name, _, _ in directory_listing(model_directory, hashed=True)] == ["MLmodel", "data/weights.bin"]


@pytest.mark.parametrize(
    ("link", "target", "words"),
    [
        ("weights", "../blobs/gone", r"link weights to \.\./blobs/gone, which does not exist"),
        ("data/me", "me", r"link data/me to me, which leads back to itself"),
        ("data/up", "..", r"link data/up to \.\., a folder that holds the link itself"),
        ("around", "../model/data/../data/..", r"link around to .*, a folder that holds the link itself"),
    ],
)
def test_a_link_that_no_pod_could_follow_is_refused_by_its_name(
    model_directory: Path, link: str, target: str, words: str
) -> None:
    (model_directory / link).symlink_to(target)

    with pytest.raises(PermanentError, match=words):
        directory_listing(model_directory, hashed=True)


def test_two_links_to_each_others_folders_are_refused(model_directory: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (model_directory / one).mkdir()
        (model_directory / one / "other").symlink_to(f"../{other}")

    with pytest.raises(PermanentError, match="a folder that holds the link itself"):
        directory_listing(model_directory, hashed=True)


def test_what_is_no_file_is_refused_by_its_name(model_directory: Path) -> None:
    os.mkfifo(model_directory / "data" / "pipe")

    with pytest.raises(PermanentError, match="has data/pipe, which is no file and no folder"):
        directory_listing(model_directory, hashed=True)


def test_passwords_in_what_the_model_needs_are_not_in_its_layer(model_directory: Path, store: Store, log: Path) -> None:
    (model_directory / "requirements.txt").write_text("-i https://me:hunter2@index.example/simple\nscorer\n")
    (model_directory / "requirements.txt").open("a").write("-r more/others.txt\n")
    (model_directory / "more").mkdir()
    (model_directory / "more" / "others.txt").write_text("a @ https://hunter3:x1@index.example/a.whl\n")
    (model_directory / "vocab.txt").write_text("https://not:meant@here\n")
    (model_directory / "conda.yaml").write_text(
        "channels: [https://c.example/t/c0nda/x]\ndependencies:\n- pip:\n  - a @ https://t0ken@git.example/a.whl\n"
    )

    files = _layer(store, model_directory, log)

    assert files["requirements.txt"].startswith(b"-i https://****@index.example/simple\nscorer\n")
    assert not [name for name, text in files.items() if re.search(b"hunter|t0ken|c0nda", text)]
    assert files["vocab.txt"] == b"https://not:meant@here\n"


def test_named_files_and_folders_are_fetched_and_nothing_else(model_directory: Path, log: Path, tmp_path: Path) -> None:
    (model_directory / "code").mkdir()
    (model_directory / "code" / "a.whl").write_bytes(b"a")
    (model_directory / "code2").mkdir()
    (model_directory / "code2" / "b.whl").write_bytes(b"b")

    fetch(_model(model_directory), ["code", "MLmodel", "missing"], tmp_path / "files", log=log)

    _is_fetched(tmp_path / "files")


def test_an_artifact_store_is_asked_for_the_named_files_alone(
    model_directory: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model_directory / "code").mkdir()
    (model_directory / "code" / "a.whl").write_bytes(b"a")
    asked = []

    class FakeStore:
        """Files of the directory; those in folders need not be moved, as with a store on this machine."""

        def files(self) -> list[tuple[str, int]]:
            return [(name, size) for name, size, _ in directory_listing(model_directory, hashed=False)]

        def fetch(self, path: str, folder: Path) -> Path:
            asked.append(path)
            if "/" in path:
                return model_directory / path
            (folder / path).write_bytes((model_directory / path).read_bytes())
            return folder / path

    monkeypatch.setattr(tracking_server, "artifact_store", lambda *_: FakeStore())
    (tmp_path / "files").mkdir()

    fetch(replace(_model(model_directory), source="s3://b/m"), ["code", "MLmodel"], tmp_path / "files", log=log)

    assert sorted(asked) == ["MLmodel", "code/a.whl"]
    _is_fetched(tmp_path / "files")


def _is_fetched(folder: Path) -> None:
    found = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert found == [Path("MLmodel"), Path("code/a.whl")]
