"""CompiledCode: libraries and programs that lie in a model's `code_paths`, and the processors that they are for.

Packages say by their wheels' names what they run on. What a model's author compiled says it in the file alone.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from headrace.contract.errors import PermanentError
from headrace.images.architecture import Architecture, machine_of

CODE: Final = "code"
"""Where MLflow puts the `code_paths` of a model."""


def machines(directory: Path) -> dict[str, str]:
    """The machine of each compiled file in the code of the model at `directory`, by its path in the model."""
    found = {}
    for path in sorted((directory / CODE).rglob("*")):
        if path.is_file() and (machine := machine_of(path)) is not None:
            found[path.relative_to(directory).as_posix()] = machine
    return found


def require(found: Mapping[str, str], architecture: Architecture) -> None:
    """Raises PermanentError where a file is for other machines alone.

    One that is there for several, as Python's own names for extension modules allow
    (`fast.cpython-311-aarch64-linux-gnu.so`), is fine when one of them is this.
    """
    by_module: dict[str, set[str]] = defaultdict(set)
    for path, machine in found.items():
        by_module[_module(path)].add(machine)
    others = sorted(path for path in found if architecture.machine not in by_module[_module(path)])
    if others:
        first = others[0]
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise PermanentError(
            f"The model's file {first}{more} is compiled for {found[first]}, and an image for {architecture} needs it "
            f"for {architecture.machine}; log the model with such a file in code_paths, or set architectures to what "
            "the file is for"
        )


def _module(path: str) -> str:
    """The file's name up to its first dot, wherever it lies."""
    return path.rsplit("/", 1)[-1].partition(".")[0]
