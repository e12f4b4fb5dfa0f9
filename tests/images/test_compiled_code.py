"""What a model's author compiled, and on which processors it runs."""

from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.images import compiled_code
from headrace.images.architecture import Architecture

AMD64, ARM64 = b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00", b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\x00"


def model(tmp_path: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = tmp_path / "code" / "scorer" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def test_a_model_of_python_alone_runs_anywhere(tmp_path: Path) -> None:
    found = compiled_code.machines(model(tmp_path, **{"fast.py": b"def score(row):\n    return 0\n"}))

    assert found == {}
    for architecture in Architecture:
        compiled_code.require(found, architecture)


def test_a_library_for_another_processor_is_named_with_what_to_do(tmp_path: Path) -> None:
    found = compiled_code.machines(model(tmp_path, **{"fast.so": ARM64, "more.so": ARM64}))

    compiled_code.require(found, Architecture.ARM64)
    with pytest.raises(PermanentError) as caught:
        compiled_code.require(found, Architecture.AMD64)
    assert str(caught.value) == (
        "The model's file code/scorer/fast.so and 1 more is compiled for aarch64, and an image for amd64 needs it for "
        "x86_64; log the model with such a file in code_paths, or set architectures to what the file is for"
    )


def test_a_library_that_is_there_for_several_runs_on_each(tmp_path: Path) -> None:
    files = {"fast.cpython-311-x86_64-linux-gnu.so": AMD64, "fast.cpython-311-aarch64-linux-gnu.so": ARM64}
    found = compiled_code.machines(model(tmp_path, **files))

    for architecture in Architecture:
        compiled_code.require(found, architecture)


def test_files_outside_of_the_code_are_data(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "firmware.bin").write_bytes(ARM64)

    assert compiled_code.machines(tmp_path) == {}
