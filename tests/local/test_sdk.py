"""The generator that Pulumi's own code makes writes an SDK into a folder, and nowhere else."""

import os
from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.local.sdk import Language, write_sdk
from headrace.local.terminal_progress import Progress


def quiet() -> Progress:
    return Progress("test", steps=1, stream=Path(os.devnull).open("w"))


def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"name": "shop"}')

    with pytest.raises(PermanentError, match="must be absent, empty or an SDK of Headrace for typescript"):
        write_sdk(Language.TYPESCRIPT, tmp_path, quiet())

    assert [path.name for path in tmp_path.iterdir()] == ["package.json"]


def test_a_file_is_no_folder_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "sdk").write_text("mine")

    with pytest.raises(PermanentError, match="name another folder or empty it"):
        write_sdk(Language.GO, tmp_path / "sdk", quiet())

    assert (tmp_path / "sdk").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "file"),
    [
        (Language.TYPESCRIPT, "modelEndpoint.ts"),
        (Language.GO, "headrace/modelEndpoint.go"),
        (Language.PYTHON, "pulumi_headrace/model_endpoint.py"),
    ],
)
def test_an_sdk_replaces_the_one_before_and_whatever_lay_in_it(language: Language, file: str, tmp_path: Path) -> None:
    folder = tmp_path / "sdks" / "headrace"
    write_sdk(language, folder, quiet())
    written = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    (folder / "of-a-component-that-is-gone").write_text("")

    write_sdk(language, folder, quiet())

    assert file in written
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == written
    assert [path.name for path in folder.parent.iterdir()] == ["headrace"]
