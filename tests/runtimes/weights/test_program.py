"""The init container: what it says at its end, and what it leaves for the kubelet when it fails."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from weights_store import PART, Files

from headrace.contract.weights import ENV_LIMIT, ENV_SOURCE, ENV_TRACKING_URI
from headrace.runtimes.weights import program

Serving = Callable[[Mapping[str, bytes]], Files]
WEIGHTS = bytes(range(256)) * (PART // 64)


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the image's and the pod's paths."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "termination-log").touch()
    monkeypatch.setattr(program, "MANIFEST_PATH", str(tmp_path / "weights.json"))
    monkeypatch.setattr(program, "WEIGHTS_HOME", str(tmp_path / "weights"))
    return tmp_path


def run(image: Path, files: Files, **environment: str) -> tuple[int, str]:
    (image / "weights.json").write_text(json.dumps(files.manifest.to_json()))
    given = {ENV_SOURCE: files.uri, ENV_TRACKING_URI: files.tracking_uri, **environment}
    return program.main(given, termination_log=image / "termination-log"), (image / "termination-log").read_text()


def test_it_copies_once_and_says_so(serving: Serving, image: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = serving({"a.bin": WEIGHTS, "same as a.bin": WEIGHTS, "b.bin": b"b"})
    caplog.set_level(logging.INFO)

    assert run(image, files) == (0, "")
    assert run(image, files) == (0, "")

    first, second = [record.getMessage() for record in caplog.records]
    assert "0.3 MB were read" in first
    assert "0.0 MB were read" in second
    assert "0.3 MB were on the node" in second
    assert files.sent == len(WEIGHTS) + 1


def test_a_failure_is_one_sentence_where_the_kubelet_reads_it(serving: Serving, image: Path) -> None:
    files = serving({"a.bin": WEIGHTS})
    files.status = 403

    status, said = run(image, files)

    assert status == 1
    assert said.startswith("The weights a.bin at http://127.0.0.1:")
    assert said.count("\n") == 0


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("100000", "has room for 0.1 MB; give it more"),
        ("much", "HEADRACE_WEIGHTS_LIMIT_BYTES = 'much', must be a whole"),
    ],
)
def test_too_little_room_is_told_before_the_first_byte(serving: Serving, image: Path, limit: str, words: str) -> None:
    files = serving({"a.bin": WEIGHTS})

    status, said = run(image, files, **{ENV_LIMIT: limit})

    assert (status, files.sent) == (1, 0)
    assert words in said


def test_a_volume_that_cannot_be_written_is_told_by_its_place(serving: Serving, image: Path) -> None:
    files = serving({"a.bin": WEIGHTS})
    (image / "weights").rmdir()

    status, said = run(image, files)

    assert status == 1
    assert said.startswith("The weights cannot be written to their volume (No such file or directory: ")
    assert "must let the group 65532 write" in said


@pytest.mark.parametrize(("mebibytes", "parts"), [(None, 8), (64, 1), (256, 6), (768, 8)])
def test_a_small_container_reads_fewer_parts_at_a_time(mebibytes: int | None, parts: int) -> None:
    assert program.parts_at_once(None if mebibytes is None else mebibytes << 20) == parts
