"""Each extra of pyproject.toml against what the folders that run with it import: nothing more, nothing less."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
EXTRAS = {
    extra: {canonicalize_name(Requirement(line).name) for line in lines}
    for extra, lines in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].items()
}
OWNERS = {name: set(map(canonicalize_name, found)) for name, found in packages_distributions().items()}
"""Distributions that hold a module of that name."""
RUN_WITH = {
    "deploy": ("__main__.py", "components", "images", "stacks", "local"),
    "aws": ("components",),
    "conda": ("images",),
    "kms": ("stacks",),
    "cli": ("cli",),
    "control": ("contract", "kube", "routing", "autoscaler"),
    "tables": ("contract", "kube", "observability/tables", "observability/drift"),
    "console": ("contract", "kube", "observability/console"),
    "demo": ("local",),
    "mcp": ("cli",),
    "test": ("tests", "bench"),
}
NEVER_IMPORTED = {
    "import-linter": "a program of `make check`",
    "mypy": "a program of `make check`",
    "ruff": "a program of `make check`",
    "types-pyyaml": "mypy reads it",
    "pytest-timeout": "a plugin of pytest",
    "jsonschema": "cyclonedx-python-lib validates with it",
    "flask": "moto's server is one",
    "flask-cors": "moto's server answers browsers with it",
}
ELSEWHERE = {
    "sklearn": "local/demo_model.py, with the extra demo",
    "boto3": "stacks/promotion/kms_key.py, with the extra kms",
    "botocore": "stacks/promotion/kms_key.py, with the extra kms",
    "rattler": "images/conda_environment.py, with the extra conda",
    "matplotlib": "cli/scaling_picture.py, with the extra plot; autoscaler/replay.py, which developers run",
    "pulumi_aws": "components/cluster/eks and components/cluster/gpu_node_pool.py, with the extra aws",
}


def _imported(folders: tuple[str, ...]) -> dict[str, set[str]]:
    """Modules at the top that are neither the standard library's nor ours, and the files that import each."""
    found: dict[str, set[str]] = {}
    for path in (path for folder in folders for path in _files(ROOT / folder)):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for top in {name.split(".")[0] for name in names} - {*sys.stdlib_module_names, "headrace"}:
                found.setdefault(top, set()).add(path.relative_to(ROOT).as_posix())
    return found


def _files(path: Path) -> Iterator[Path]:
    yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("extra", RUN_WITH)
def test_every_dependency_is_imported(extra: str) -> None:
    used = {owner for name in _imported(RUN_WITH[extra]) for owner in OWNERS.get(name, ())}

    assert EXTRAS[extra] - used - set(NEVER_IMPORTED) == set()


@pytest.mark.parametrize("extra", ["deploy", "control", "tables", "console"])
def test_every_import_is_declared(extra: str) -> None:
    undeclared = {
        name: files
        for name, files in _imported(RUN_WITH[extra]).items()
        if not OWNERS.get(name, set()) & EXTRAS[extra] and name not in ELSEWHERE
    }

    assert undeclared == {}


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_dependency_has_its_reason_on_the_page(extra: str) -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()

    assert {name for name in EXTRAS[extra] if name not in page.lower()} - {"types-pyyaml"} == set()
