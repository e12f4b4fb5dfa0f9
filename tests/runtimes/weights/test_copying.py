"""Weights on their way to the node: in parts, resumed, checked, once for all pods, and never torn."""

import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from weights_store import PART, Files

from headrace.contract.errors import HeadraceError, PermanentError, TemporaryError
from headrace.contract.weights import WeightsManifest
from headrace.runtimes.weights import source
from headrace.runtimes.weights.cache import Cache
from headrace.runtimes.weights.copying import ChangedError, Tally, copy

Serving = Callable[[Mapping[str, bytes]], Files]
WEIGHTS = random.Random(4).randbytes(4 * PART + 1000)


def bring(
    files: Files, cache: Cache, *, manifest: WeightsManifest | None = None, naps: list[float] | None = None
) -> Tally:
    tally, pauses = Tally(), [] if naps is None else naps
    found = source.opened(files.uri, files.tracking_uri, {})
    with ThreadPoolExecutor(4) as pool:
        for file in (files.manifest if manifest is None else manifest).files:
            copy(file, found, cache, pool, tally, sleep=pauses.append)
    return tally


def content(cache: Cache, files: Files) -> dict[str, bytes]:
    return {file.path: (cache.root / file.digest).read_bytes() for file in files.manifest.files}


def test_files_arrive_in_parts_and_a_second_pod_reads_nothing(serving: Serving, tmp_path: Path) -> None:
    files, cache = serving({"data/a b.bin": WEIGHTS, "small.bin": b"12345", "empty.bin": b""}), Cache(tmp_path)

    first = bring(files, cache)
    sent = files.sent
    second = bring(files, cache)

    assert content(cache, files) == files.content
    assert (first.read, first.found, sent) == (len(WEIGHTS) + 5, 0, len(WEIGHTS) + 5)
    assert (second.read, second.found, files.sent) == (0, len(WEIGHTS) + 5, sent)
    assert len(files.asked) == 6
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".partial"]
    assert all(path.stat().st_mode & 0o222 == 0 for path in tmp_path.iterdir() if not path.suffix)


def test_a_part_that_broke_off_is_read_again_and_no_other(serving: Serving, tmp_path: Path) -> None:
    files, cache, naps = serving({"w.bin": WEIGHTS}), Cache(tmp_path), list[float]()
    files.torn = 2

    bring(files, cache, naps=naps)

    assert content(cache, files) == files.content
    assert sorted(naps) == [1.0, 2.0]
    assert len(files.asked) == 7  # five parts, and the two again


def test_a_pod_goes_on_with_what_a_killed_one_left(serving: Serving, tmp_path: Path) -> None:
    files, cache = serving({"w.bin": WEIGHTS}), Cache(tmp_path)
    [file] = files.manifest.files
    left = bytearray(WEIGHTS[: 3 * PART])
    left[PART + 5] ^= 1  # this part was being written
    (tmp_path / f"{file.digest}.partial").write_bytes(left)

    tally = bring(files, cache)

    assert content(cache, files) == files.content
    assert (tally.found, tally.read) == (2 * PART, len(WEIGHTS) - 2 * PART)
    starts = {int(asked.removeprefix("bytes=").partition("-")[0]) for asked in files.asked}
    assert starts == {PART, 3 * PART, 4 * PART}


def test_a_server_that_knows_no_ranges_sends_each_file_once(serving: Serving, tmp_path: Path) -> None:
    files, cache = serving({"w.bin": WEIGHTS, "v.bin": WEIGHTS[:PART]}), Cache(tmp_path)
    files.knows_ranges = False

    bring(files, cache)

    assert content(cache, files) == files.content
    assert len(files.asked) == 2  # the first of each file, which it answers with all, and the client hangs up


def test_a_whole_file_that_broke_off_is_sent_again(serving: Serving, tmp_path: Path) -> None:
    files, cache, naps = serving({"w.bin": WEIGHTS}), Cache(tmp_path), list[float]()
    files.knows_ranges = False
    files.torn = 2

    bring(files, cache, naps=naps)

    assert content(cache, files) == files.content
    assert naps == [1.0]


def test_two_pods_at_once_read_the_store_once(serving: Serving, tmp_path: Path) -> None:
    files = serving({"w.bin": WEIGHTS})

    with ThreadPoolExecutor(3) as pods:
        tallies = list(pods.map(lambda _: bring(files, Cache(tmp_path)), range(3)))

    assert files.sent == len(WEIGHTS)
    assert sorted(tally.read for tally in tallies) == [0, 0, len(WEIGHTS)]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (WEIGHTS[:-1], rf"w\.bin changed since the image was built \({len(WEIGHTS) - 1} bytes, were {len(WEIGHTS)}\)"),
        (WEIGHTS + b"1", "changed since the image was built"),
        (bytes(len(WEIGHTS)), r"changed since the image was built \(the SHA-256 of part 0 is another\); log the model"),
        (WEIGHTS[: 3 * PART] + bytes(PART + 1000), "the SHA-256 of part [34] is another"),
    ],
)
@pytest.mark.parametrize("knows_ranges", [True, False])
def test_weights_that_changed_never_get_to_the_model(
    serving: Serving, tmp_path: Path, now: bytes, words: str, knows_ranges: bool
) -> None:
    files = serving({"w.bin": WEIGHTS})
    manifest = files.manifest
    files.content["w.bin"] = now
    files.knows_ranges = knows_ranges

    expected = TemporaryError if not knows_ranges and len(now) < len(WEIGHTS) else ChangedError
    with pytest.raises(expected, match=words if expected is ChangedError else "broke off after"):
        bring(files, Cache(tmp_path), manifest=manifest)

    assert not [path for path in tmp_path.iterdir() if not path.suffix]


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, PermanentError, "are refused to this pod .*; give it what the store asks for in weights.environment"),
        (403, PermanentError, "are refused to this pod"),
        (404, PermanentError, "are not there any more; log the model again"),
    ],
)
def test_a_store_that_refuses(
    serving: Serving, tmp_path: Path, status: int, kind: type[HeadraceError], words: str
) -> None:
    files = serving({"w.bin": WEIGHTS})
    files.status = status

    with pytest.raises(kind, match=words):
        bring(files, Cache(tmp_path))

    assert not [path for path in tmp_path.iterdir() if not path.suffix]


def test_a_store_that_is_not_there_may_come_back(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(source._RETRIES, "max_retries", 0)
    files, naps = serving({"w.bin": WEIGHTS}), list[float]()
    files.server.shutdown()
    files.server.server_close()

    with pytest.raises(TemporaryError, match=r"cannot be read \(.*\); see that weights.egress permits"):
        bring(files, Cache(tmp_path), naps=naps)

    assert naps == [1.0, 2.0, 4.0, 8.0]
    (left,) = tmp_path.glob("*.partial")
    assert left.stat().st_mode & 0o600 == 0o600  # a later pod, which is no root, goes on with it
