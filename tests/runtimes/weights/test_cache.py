"""Room for weights: what is removed for it, what never is, and what is said when there is too little."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.contract.weights import WeightsFile, WeightsManifest, hashed
from headrace.runtimes.weights.cache import RECENT_SECONDS, Cache, Kept, evictable

MB = 1_000_000
HOLDER = """
import json, sys
from pathlib import Path
from headrace.contract.weights import WeightsManifest
from headrace.runtimes.weights.holding import hold

held = hold(WeightsManifest.from_json(json.loads(sys.argv[1])), Path(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


def file(letter: bytes, megabytes: int) -> WeightsFile:
    return hashed(letter.decode(), [letter * (megabytes * MB)])


def keep(cache: Cache, letter: bytes, megabytes: int, *, hours_ago: float) -> WeightsFile:
    made = file(letter, megabytes)
    path = cache.root / made.digest
    path.write_bytes(letter * made.size)
    then = time.time() - hours_ago * 3600
    os.utime(path, (then, then))
    return made


def there(cache: Cache) -> set[str]:
    return {kept.digest for kept in cache.kept()}


def manifest(*files: WeightsFile) -> WeightsManifest:
    return WeightsManifest(files=files)


def test_what_was_not_used_for_the_longest_time_goes_first_and_only_as_much_as_is_wanted(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=6 * MB)
    old, older, oldest = (
        keep(cache, letter, 2, hours_ago=hours) for letter, hours in ((b"a", 1), (b"b", 2), (b"c", 3))
    )

    cache.require_room(manifest(file(b"d", 3)))

    assert there(cache) == {old.digest}
    assert older.digest != oldest.digest


def test_weights_that_a_server_holds_or_asked_for_just_now_stay(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=6 * MB)
    held, recent, free = (keep(cache, letter, 2, hours_ago=9) for letter in (b"a", b"b", b"c"))
    command = [sys.executable, "-c", HOLDER, json.dumps(manifest(held).to_json()), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"held\n"
        cache.used([recent])

        with pytest.raises(
            TemporaryError,
            match=r"of at most 6\.0 MB.* room for 2\.0 MB: 4\.0 MB are of models that other pods",
        ):
            cache.require_room(manifest(file(b"d", 5)))
        assert there(cache) == {held.digest, recent.digest}
        server.communicate()

    then = time.time() - 2 * RECENT_SECONDS
    os.utime(tmp_path / recent.digest, (then, then))
    cache.require_room(manifest(file(b"d", 5)))
    assert there(cache) == set()
    assert free.digest not in there(cache)


def test_weights_that_never_fit_are_refused_before_the_first_byte(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=6 * MB)
    idle = keep(cache, b"a", 2, hours_ago=9)

    with pytest.raises(PermanentError, match=r"take 9\.0 MB.* has room for 6\.0 MB; give it more, or choose nodes"):
        cache.require_room(manifest(file(b"d", 9)))

    assert idle.digest not in there(cache)
    assert not list(tmp_path.glob("*.partial"))


def test_a_volume_without_a_limit_is_as_large_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = os.statvfs(tmp_path)
    beyond = WeightsFile(path="w", size=volume.f_bavail * volume.f_frsize + MB, parts=("00" * 32,))

    with pytest.raises(PermanentError, match="their volume has room for"):
        Cache(tmp_path).require_room(manifest(beyond))

    Cache(tmp_path).require_room(manifest(file(b"a", 1)))


def test_what_is_there_already_needs_no_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=4 * MB)
    known = keep(cache, b"a", 3, hours_ago=9)

    cache.require_room(manifest(known, file(b"b", 1)))

    assert there(cache) == {known.digest}


def test_what_a_killed_pod_left_half_written_goes_before_anything_whole(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=6 * MB)
    partial = tmp_path / f"{file(b'x', 1).digest}.partial"
    partial.write_bytes(bytes(MB))
    os.utime(partial, (0, 0))
    young = tmp_path / f"{file(b'y', 1).digest}.partial"
    young.write_bytes(bytes(MB))

    keep(cache, b"a", 4, hours_ago=9)
    cache.require_room(manifest(file(b"b", 3)))

    assert not partial.exists()
    assert young.exists()


def test_evictable_is_sorted_and_spares_the_recent() -> None:
    kept = [Kept(digest=name, size=1, used=used) for name, used in (("new", 99_999.0), ("b", 2.0), ("a", 1.0))]

    assert [each.digest for each in evictable(kept, now=100_000.0)] == ["a", "b"]
