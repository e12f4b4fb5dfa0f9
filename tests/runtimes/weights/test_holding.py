"""A server holds its weights; that nobody removes them is in test_cache."""

from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.contract.weights import WeightsManifest, hashed
from headrace.runtimes.weights import holding
from headrace.runtimes.weights.holding import hold

FILE = hashed("a.bin", [b"weights"])


def test_a_file_that_the_model_has_twice_is_held_once(tmp_path: Path) -> None:
    (tmp_path / FILE.digest).write_bytes(b"weights")

    assert len(hold(WeightsManifest(files=(FILE, FILE)), tmp_path)) == 1


def test_a_server_whose_weights_are_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"weights a.bin are gone from this node's volume; delete the pod"):
        hold(WeightsManifest(files=(FILE,)), tmp_path)


def test_an_image_without_a_readable_list_ends_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.json").write_text('{"files": [{"path": 1}]}')
    monkeypatch.setattr(holding, "MANIFEST_PATH", str(tmp_path / "weights.json"))

    assert not holding.hold_all()
