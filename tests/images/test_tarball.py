"""Layers depend on their content and on nothing else."""

import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.images.store import Store
from headrace.images.tarball import EPOCH, Entry, tree, with_parents, write_layer

_NAMES = st.text("abc.-_ é", min_size=1, max_size=60).filter(lambda name: name not in {".", ".."})
_PATHS = st.lists(_NAMES, min_size=1, max_size=5).map("/".join)


def _members(store: Store, digest: str) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(store.path(digest)) as tar:
        return {member.name: member for member in tar}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(files=st.dictionaries(_PATHS, st.binary(max_size=1200), max_size=8), data=st.data())
def test_the_order_of_files_does_not_matter_and_all_come_back(
    store: Store, files: dict[str, bytes], data: st.DataObject
) -> None:
    files = {
        path: content for path, content in files.items() if not any(other.startswith(f"{path}/") for other in files)
    }
    entries = [Entry(path=path, data=content) for path, content in files.items()]
    shuffled = data.draw(st.permutations(entries))

    blob = write_layer(store, entries)

    assert write_layer(store, shuffled).digest == blob.digest
    with tarfile.open(store.path(blob.digest)) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]
    assert files == found


def test_who_made_a_layer_and_when_cannot_be_seen(store: Store, tmp_path: Path) -> None:
    digests = set()
    for number, umask in enumerate((0o077, 0o002)):
        previous = os.umask(umask)
        directory = tmp_path / f"copy-{number}"
        directory.mkdir()
        (directory / "module.py").write_text("x = 1\n")
        (directory / "run.sh").write_text("#!/bin/sh\n")
        (directory / "run.sh").chmod(0o700)
        (directory / "link").symlink_to("module.py")
        os.utime(directory / "module.py", (number, number))
        os.umask(previous)
        digests.add(write_layer(store, tree(directory, "opt/code")).digest)

    (digest,) = digests
    members = _members(store, digest)
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, EPOCH)}
    assert members["opt/code/module.py"].mode == 0o644
    assert members["opt/code/run.sh"].mode == 0o755
    assert members["opt/code/link"].linkname == "module.py"


def test_directories_come_before_what_is_in_them(store: Store) -> None:
    entries = with_parents([Entry(path="a/b/c", data=b""), Entry(path="a.b/c", data=b"")])

    assert [entry.path for entry in entries] == ["a", "a.b", "a.b/c", "a/b", "a/b/c"]


def test_nothing_runs_as_another_user_than_the_container(store: Store) -> None:
    blob = write_layer(store, [Entry(path="usr/bin/su", mode=0o4755, data=b""), Entry(path="tmp", mode=0o1777)])

    members = _members(store, blob.digest)
    assert members["usr/bin/su"].mode == 0o755
    assert members["tmp"].mode == 0o1777


def test_paths_longer_than_a_tar_header_come_back(store: Store) -> None:
    path = "/".join(["directory" * 6] * 6) + "/module.py"

    assert path in _members(store, write_layer(store, [Entry(path=path, data=b"x")]).digest)


def test_the_last_of_two_files_with_one_path_wins(store: Store) -> None:
    blob = write_layer(store, [Entry(path="x", data=b"first"), Entry(path="x", data=b"second")])

    assert _members(store, blob.digest)["x"].size == len(b"second")


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, (1 << 20) + 1])
def test_files_of_every_size_are_padded_to_blocks(store: Store, tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)

    blob = write_layer(store, [Entry(path="file", source=tmp_path / "file")])

    assert blob.size % 512 == 0
    assert _members(store, blob.digest)["file"].size == size


def test_another_name_of_a_file_comes_after_it_and_costs_nothing(store: Store, tmp_path: Path) -> None:
    file = Entry(path="lib/z.so.1", mode=0o755, data=b"x" * 9000)
    alone = write_layer(store, [file])
    blob = write_layer(store, [Entry(path="lib/a.so", mode=0o755, same_as="lib/z.so.1"), file])

    assert blob.size == alone.size + tarfile.BLOCKSIZE
    with tarfile.open(store.path(blob.digest)) as tar:
        tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # `extractall` takes none in 3.11.2
        tar.extractall(tmp_path / "out")
    assert (tmp_path / "out/lib/a.so").samefile(tmp_path / "out/lib/z.so.1")
