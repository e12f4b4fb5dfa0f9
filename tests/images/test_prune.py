"""The cache stays bounded."""

import json
import os
from pathlib import Path

from headrace.images.prune import UNUSED_SECONDS, prune
from headrace.images.store import Blob, Store

NOW = 2_000_000_000.0
MONTHS_AGO = NOW - 3 * UNUSED_SECONDS


def _layer(store: Store, key: str, data: bytes, *, used: float) -> Path:
    def make(scratch: Path) -> Blob:
        digest = store.put_bytes(data)
        return Blob(digest=digest, size=len(data), diff_id=digest)

    blob, _ = store.layer(key, make)
    os.utime(store.root / "recipes" / f"{key}.json", (used, used))
    os.utime(store.path(blob.digest), (MONTHS_AGO, MONTHS_AGO))
    return store.path(blob.digest)


def test_what_was_not_used_for_a_month_goes_and_what_was_used_stays(store: Store) -> None:
    old = _layer(store, "old", b"old", used=MONTHS_AGO)
    used = _layer(store, "used", b"used", used=NOW - 60)

    freed = prune(store, now=NOW)

    assert not old.exists()
    assert used.exists()
    assert freed >= len(b"old")
    assert store.layer("used", lambda scratch: (_ for _ in ()).throw(AssertionError))[1] is False


def test_a_blob_that_two_recipes_name_stays_while_one_is_used(store: Store) -> None:
    _layer(store, "old", b"shared", used=MONTHS_AGO)
    shared = _layer(store, "used", b"shared", used=NOW)

    prune(store, now=NOW)

    assert shared.exists()


def test_layers_of_a_copied_base_stay_while_it_is_used(store: Store) -> None:
    digest = store.put_bytes(b"layer of a base")
    text = json.dumps({"layers": [{"digest": digest, "size": 15}]})
    store.document("base", lambda scratch: text)
    os.utime(store.root / "recipes" / "base.txt", (NOW, NOW))
    os.utime(store.path(digest), (MONTHS_AGO, MONTHS_AGO))

    prune(store, now=NOW)

    assert store.path(digest).exists()


def test_a_young_blob_may_belong_to_a_build_that_runs(store: Store) -> None:
    digest = store.put_bytes(b"young")
    os.utime(store.path(digest), (NOW - 60, NOW - 60))

    prune(store, now=NOW)

    assert store.path(digest).exists()


def test_it_runs_once_a_day(store: Store) -> None:
    prune(store, now=NOW)
    os.utime(store.root / "pruned", (NOW, NOW))
    old = _layer(store, "old", b"old", used=MONTHS_AGO)

    prune(store, now=NOW + 3600)
    assert old.exists()
    prune(store, now=NOW + 90_000)
    assert not old.exists()


def test_unused_directories_go_too(store: Store) -> None:
    kept = store.directory("recipe", lambda target: (target / "x").write_text("1") and None)
    os.utime(kept, (MONTHS_AGO, MONTHS_AGO))

    prune(store, now=NOW)

    assert not kept.exists()
