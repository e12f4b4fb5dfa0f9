"""The cache stays whole whatever happens to the builds that use it."""

import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest
from patience import eventually

from headrace.contract.errors import PermanentError
from headrace.images.store import Blob, HashingWriter, Store, digest_of, key_of


def _blob(store: Store, data: bytes, **facts: str) -> Blob:
    digest = store.put_bytes(data)
    return Blob(digest=digest, size=len(data), diff_id=digest, facts=tuple(sorted(facts.items())))


def test_a_layer_is_made_once_and_found_again(store: Store) -> None:
    made, first = store.layer("recipe", lambda scratch: _blob(store, b"layer"))
    found, second = Store(store.root).layer("recipe", lambda scratch: pytest.fail("made twice"))

    assert (first, second) == (True, False)
    assert made == found


def test_a_layer_whose_blob_was_lost_or_cut_is_made_again(store: Store) -> None:
    made, _ = store.layer("recipe", lambda scratch: _blob(store, b"layer"))
    for damage in (Path.unlink, lambda path: path.write_bytes(b"la")):
        damage(store.path(made.digest))

        again, created = store.layer("recipe", lambda scratch: _blob(store, b"layer"))

        assert created
        assert store.path(again.digest).read_bytes() == b"layer"


def test_a_damaged_record_is_made_again(store: Store) -> None:
    store.layer("recipe", lambda scratch: _blob(store, b"layer"))
    (store.root / "recipes" / "recipe.json").write_text('{"digest": "sha2')

    assert store.layer("recipe", lambda scratch: _blob(store, b"layer"))[1]


def test_a_build_that_fails_leaves_nothing_behind(store: Store) -> None:
    def half(out: HashingWriter) -> None:
        out.write(b"half")
        raise OSError("disk full")

    def fail(scratch: Path) -> Blob:
        (scratch / "half").write_text("half")
        store.put_stream(half)
        raise AssertionError

    with pytest.raises(OSError, match="disk full"):
        store.layer("recipe", fail)

    assert list((store.root / "temporary").iterdir()) == []
    assert list((store.root / "blobs" / "sha256").iterdir()) == []
    assert store.layer("recipe", lambda scratch: _blob(store, b"layer"))[1]


def test_threads_that_want_the_same_layer_make_it_once(store: Store) -> None:
    made = []

    def make(scratch: Path) -> Blob:
        made.append(scratch)
        time.sleep(0.02)
        return _blob(store, b"layer")

    threads = [threading.Thread(target=store.layer, args=("recipe", make)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 1


def _make_slowly(root: Path, marks: Path) -> None:
    store = Store(root)

    def make(scratch: Path) -> Blob:
        (marks / str(os.getpid())).touch()
        time.sleep(0.05)
        return _blob(store, b"layer")

    store.layer("recipe", make)


def test_processes_that_want_the_same_layer_make_it_once(store: Store, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_make_slowly, args=(store.root, marks)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(marks.iterdir())) == 1


def _hang(root: Path, started: Path) -> None:
    def make(scratch: Path) -> Blob:
        started.touch()
        time.sleep(600)
        raise AssertionError

    Store(root).layer("recipe", make)


def test_a_killed_build_does_not_block_the_next(store: Store, tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = multiprocessing.get_context("fork").Process(target=_hang, args=(store.root, started))
    process.start()
    eventually(started.exists, "the build has begun")
    process.kill()
    process.join()

    assert store.layer("recipe", lambda scratch: _blob(store, b"layer"))[1]


def test_what_a_killed_build_left_is_swept_after_a_day(store: Store) -> None:
    (store.root / "temporary" / "old").mkdir()
    (store.root / "temporary" / "young").mkdir()
    day_and_more = time.time() - 90_000
    os.utime(store.root / "temporary" / "old", (day_and_more, day_and_more))

    Store(store.root)

    assert [path.name for path in (store.root / "temporary").iterdir()] == ["young"]


def test_a_directory_is_made_once(store: Store) -> None:
    first = store.directory("recipe", lambda target: (target / "x").write_text("1") and None)
    second = store.directory("recipe", lambda target: pytest.fail("made twice"))

    assert first == second
    assert (second / "x").read_text() == "1"


def test_the_twenty_newest_logs_of_a_name_are_kept(store: Store) -> None:
    for number in range(25):
        (store.root / "logs" / f"model-fraud.20260101T0000{number:02}.1.log").touch()

    store.new_log("model-fraud").touch()

    names = sorted(path.name for path in (store.root / "logs").iterdir())
    assert len(names) == 20
    assert "model-fraud.20260101T000024.1.log" in names


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(PermanentError, match="HEADRACE_CACHE"):
        Store(tmp_path / "file" / "images")


def test_a_digest_never_becomes_a_path_outside_the_store(store: Store) -> None:
    with pytest.raises(PermanentError, match="64 hexadecimal digits"):
        store.path("sha256:../../etc/passwd")


def test_keys_tell_recipes_apart() -> None:
    assert key_of("a", ["b"]) != key_of("a", "b")
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
