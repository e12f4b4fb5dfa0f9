"""The worker runs in the model's environment: any Python from 3.9 on, with nothing but the model's packages."""

import ast
import sys
from pathlib import Path

import pytest

from headrace.runtimes import worker

FILES = sorted(Path(worker.__file__).parent.glob("*.py"))


def evaluated_annotations(tree: ast.Module) -> list[ast.expr]:
    """Annotations that Python evaluates when the module is imported."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            found += [argument.annotation for argument in arguments if argument.annotation is not None]
            found += [node.returns] if node.returns is not None else []
        elif isinstance(node, (ast.ClassDef, ast.Module)):
            found += [part.annotation for part in node.body if isinstance(part, ast.AnnAssign)]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_source_is_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))

    for annotation in evaluated_annotations(tree):
        assert not any(isinstance(part, ast.BinOp) for part in ast.walk(annotation)), ast.unparse(annotation)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_the_standard_library_is_imported_before_the_model(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names = [node.module]
        for name in names:
            assert name.split(".")[0] in sys.stdlib_module_names, name
