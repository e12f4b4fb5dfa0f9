"""The worker runs in the model's environment: any Python from 3.8 on, with nothing but the model's packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import python_mirror

from headrace.runtimes import worker

IMPORT_ALL = """
import importlib, importlib.util, sys
folder, *modules = sys.argv[1:]
spec = importlib.util.spec_from_file_location("w", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["w"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
for module in modules:
    importlib.import_module("w." + module)
"""
"""As the worker's own start does it."""
FILES = sorted(Path(worker.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_source_is_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("version", python_mirror.at_hand())
def test_every_interpreter_at_hand_imports_the_worker(version: str) -> None:
    """What is evaluated at import is not only syntax: annotations and types of the standard library."""
    modules = [path.stem for path in FILES if path.stem not in ("__init__", "__main__")]
    done = subprocess.run(
        [python_mirror.program(version), "-I", "-W", "error", "-c", IMPORT_ALL, FILES[0].parent, *modules],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_the_standard_library_is_imported_before_the_model(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names = [node.module]
        for name in names:
            assert name.split(".")[0] in sys.stdlib_module_names, name
