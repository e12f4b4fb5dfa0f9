"""Where things are kept, and the one rule a folder for sockets has to obey."""

import os
from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.local import paths


def test_the_user_chooses_both_folders(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_CACHE", str(short_path / "cache"))
    monkeypatch.setenv("HEADRACE_STATE", str(short_path / "state"))

    assert paths.cache_directory() == short_path / "cache"
    assert paths.state_directory() == short_path / "state"
    assert paths.state_directory().is_dir()


def test_what_runs_is_kept_where_other_users_of_the_machine_cannot_look(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, made_before in (("new", False), ("of-an-earlier-release", True)):
        monkeypatch.setenv("HEADRACE_STATE", str(short_path / name))
        if made_before:
            (short_path / name).mkdir(mode=0o755)

        assert paths.state_directory().stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")
def test_a_state_folder_that_somebody_else_put_there_is_not_used(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADRACE_STATE", raising=False)
    (short_path / "system").mkdir(mode=0o755)
    (short_path / "trap").symlink_to(short_path / "system")
    os.lchown(short_path / "trap", 65531, 65531)
    monkeypatch.setattr(paths, "default_state", lambda _: short_path / "trap")

    with pytest.raises(PermanentError, match=r"trap belongs to the user 65531, must belong to you"):
        paths.state_directory()

    assert (short_path / "system").stat().st_mode & 0o777 == 0o755


def test_a_deep_checkout_keeps_its_state_elsewhere_and_always_at_the_same_place() -> None:
    shallow, deep = Path("/src/headrace"), Path("/src") / ("x" * 100)

    assert paths.default_state(shallow) == shallow / ".headrace"
    # The end is `printf %s PATH | sha256sum | cut -c -8`: a later version must find what an earlier one left.
    assert paths.default_state(deep) == Path("/var/tmp/headrace-c8a00176")
    assert paths.default_state(deep / "other") == Path("/var/tmp/headrace-01ed6cf5")


def test_a_state_folder_too_deep_for_sockets_is_refused_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_STATE", str(tmp_path / ("x" * 100)))

    with pytest.raises(PermanentError, match=r"HEADRACE_STATE = .* set HEADRACE_STATE to a shorter directory"):
        paths.state_directory()
