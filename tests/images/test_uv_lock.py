"""The uv.lock that MLflow 3 logs with a model: its versions are preferred, its hashes are held."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from logged_packages import logged, pins

from headrace.contract.errors import InputError
from headrace.images import uv_lock
from headrace.images.store import Store

MakeWheel = Callable[..., str]
LOCK = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "project"
version = "0.1.0"
source = { virtual = "." }

[[package]]
name = "Scorer"
version = "1.0"
source = { registry = "https://index.example/simple" }
sdist = { url = "https://example.com/scorer-1.0.tar.gz", hash = "sha256:aa", size = 1 }
wheels = [{ url = "https://example.com/scorer-1.0-py3-none-any.whl", hash = "sha256:HASH", size = 1 }]

[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://index.example/simple" }

[[package]]
name = "numpy"
version = "2.1.0"
source = { registry = "https://index.example/simple" }
"""


def test_a_lock_has_the_hashes_of_what_comes_from_an_index() -> None:
    found = uv_lock.read(LOCK)

    assert found.hashes == {"scorer==1.0": ("sha256:aa", "sha256:HASH"), "numpy==1.26.4": (), "numpy==2.1.0": ()}
    assert found.pins == ("scorer==1.0",), "which NumPy depends on the Python that it is installed for"


@pytest.mark.parametrize("text", ["[[package]\n", "[[package]]\nversion = '1'\nsource = {registry = 'x'}\n"])
def test_a_lock_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"uv\.lock cannot be read .*; log the model again from its uv project"):
        uv_lock.read(text)


@pytest.fixture
def locked(model_directory: Path, wheels: MakeWheel, tmp_path: Path) -> Callable[..., str]:
    """Makes version 1.0 and 2.0 of a package, and a lock of 1.0 with that hash or its own; returns where they are."""

    def make(digest: str = "") -> str:
        wheels("scorer", "2.0")
        option = wheels("scorer", "1.0")
        found = hashlib.sha256((tmp_path / "wheels" / "scorer-1.0-py3-none-any.whl").read_bytes()).hexdigest()
        (model_directory / uv_lock.FILE).write_text(LOCK.replace("HASH", digest or found))
        return option

    return make


@pytest.mark.slow
def test_the_locks_version_is_preferred_and_a_requirement_for_another_wins(
    locked: Callable[..., str], model_directory: Path, store: Store, log: Path
) -> None:
    option = locked()

    assert pins(store, logged(model_directory, option, "scorer", is_locked=True), log) == ("scorer==1.0",)
    assert pins(store, logged(model_directory, option, "scorer>1", is_locked=True), log) == ("scorer==2.0",)
    assert pins(store, logged(model_directory, option, "scorer"), log) == ("scorer==2.0",)


@pytest.mark.slow
def test_a_wheel_with_another_hash_than_the_locks_is_refused(
    locked: Callable[..., str], model_directory: Path, store: Store, log: Path
) -> None:
    option = locked("bb")

    with pytest.raises(
        InputError, match=r"uv\.lock: scorer==1\.0 has the hash sha256:\w+, must be sha256:aa or sha256:bb"
    ):
        pins(store, logged(model_directory, option, "scorer", is_locked=True), log)
