"""Where things are kept, and the one rule a folder for sockets has to obey."""

from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.stacks.local import places


def test_the_user_chooses_both_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADRACE_STATE", str(tmp_path / "state"))

    assert places.cache_directory() == tmp_path / "cache"
    assert places.state_directory() == tmp_path / "state"
    assert places.state_directory().is_dir()


def test_a_state_folder_too_deep_for_sockets_is_refused_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_STATE", str(tmp_path / ("x" * 100)))

    with pytest.raises(PermanentError, match=r"HEADRACE_STATE = .* set HEADRACE_STATE to a shorter directory"):
        places.state_directory()
