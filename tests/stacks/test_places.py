"""Where things are kept, and the one rule a folder for sockets has to obey."""

from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.stacks.local import places


def test_the_user_chooses_both_folders(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CACHE", str(short_path / "cache"))
    monkeypatch.setenv("HEADRACE_STATE", str(short_path / "state"))

    assert places.cache_directory() == short_path / "cache"
    assert places.state_directory() == short_path / "state"
    assert places.state_directory().is_dir()


def test_a_deep_checkout_keeps_its_state_elsewhere_and_always_at_the_same_place() -> None:
    shallow, deep = Path("/src/headrace"), Path("/src") / ("x" * 100)

    assert places.default_state(shallow) == shallow / ".headrace"
    assert places.default_state(deep).parent == Path("/var/tmp")
    assert places.default_state(deep) == places.default_state(deep)
    assert places.default_state(deep) != places.default_state(deep / "other")


def test_a_state_folder_too_deep_for_sockets_is_refused_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_STATE", str(tmp_path / ("x" * 100)))

    with pytest.raises(PermanentError, match=r"HEADRACE_STATE = .* set HEADRACE_STATE to a shorter directory"):
        places.state_directory()
