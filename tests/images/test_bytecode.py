"""Compiled Python in layers."""

import importlib.util
import sys
from pathlib import Path

from headrace.images import bytecode
from headrace.images.store import Store

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = sys.implementation.cache_tag
OWN = bytecode.own_compiler(PYTHON)


def _site(root: Path, *, body: str = "x = 1\n") -> Path:
    package = root / "package"
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text(body)
    (package / "template.py").write_text("{% not python %}\n")
    (package / "tests" / "test_x.py").write_text("x = 2\n")
    (root / "single.py").write_text("y = {'a', 'b', 'c'}\n")
    (root / "customized.py").symlink_to("/etc/nowhere/customized.py")
    info = root / "package-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text(
        f"package/__init__.py,sha256={hash(body)},1\npackage/template.py,sha256=t,1\npackage/tests/test_x.py,sha256=x,1\n"
    )
    return root


def _compiled(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.pyc"))}


def test_modules_are_compiled_and_tests_are_not(store: Store, tmp_path: Path) -> None:
    root = _site(tmp_path / "site")

    bytecode.compile_tree(store, root, "/opt/site", by=OWN)

    assert set(_compiled(root)) == {f"package/__pycache__/__init__.{TAG}.pyc", f"__pycache__/single.{TAG}.pyc"}


def test_the_files_are_used_whatever_the_date_of_the_source(store: Store, tmp_path: Path) -> None:
    root = _site(tmp_path / "site")
    bytecode.compile_tree(store, root, "/opt/site", by=OWN)
    (root / "single.py").write_text("y = 'the source is not read'\n")

    spec = importlib.util.spec_from_file_location("single", root / "single.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert module.y == {"a", "b", "c"}


def test_two_builds_give_the_same_bytes(store: Store, tmp_path: Path) -> None:
    first, second = _site(tmp_path / "first"), _site(tmp_path / "second")

    bytecode.compile_tree(store, first, "/opt/site", by=OWN)
    bytecode.compile_tree(Store(tmp_path / "other"), second, "/opt/site", by=OWN)

    assert _compiled(first) == _compiled(second)


def test_a_distribution_is_compiled_once_and_a_changed_one_again(store: Store, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    program = tmp_path / "python"  # notes what it is given to compile, and compiles it
    program.write_text(f'#!/bin/sh\ntee -a {jobs} | {sys.executable} "$@"\n')
    program.chmod(0o755)
    noting = bytecode.Compiler(name="noting", python=PYTHON, command=(str(program),))

    for name in ("first", "second"):
        bytecode.compile_tree(store, _site(tmp_path / name), "/opt/site", by=noting)
    assert jobs.read_text().count("\t/opt/site/package/__init__.py\n") == 1

    bytecode.compile_tree(store, _site(tmp_path / "third", body="x = 3\n"), "/opt/site", by=noting)
    assert jobs.read_text().count("\t/opt/site/package/__init__.py\n") == 2


def test_what_another_python_compiled_is_compiled_anew(store: Store, tmp_path: Path) -> None:
    """Patch releases give different bytes for equal sources, so that a cache must not mix them."""
    other = tmp_path / "python"
    other.write_text(
        "#!/bin/sh\nwhile IFS='\t' read -r _ target _; do\n"
        '  mkdir -p "$(dirname "$target")" && echo other > "$target"\ndone\n'
    )
    other.chmod(0o755)
    bytecode.compile_tree(store, _site(tmp_path / "first"), "/opt/site", by=OWN)
    before = _compiled(tmp_path / "first")

    by = bytecode.Compiler(name="another release", python=PYTHON, command=(str(other),))
    bytecode.compile_tree(store, _site(tmp_path / "second"), "/opt/site", by=by)
    bytecode.compile_tree(store, _site(tmp_path / "third"), "/opt/site", by=OWN)

    assert _compiled(tmp_path / "second")[f"package/__pycache__/__init__.{TAG}.pyc"] == b"other\n"
    assert _compiled(tmp_path / "third") == before


def test_without_that_python_nothing_is_compiled(store: Store, tmp_path: Path) -> None:
    root = _site(tmp_path / "site")

    bytecode.compile_tree(store, root, "/opt/site", by=bytecode.own_compiler("3.99"))

    assert _compiled(root) == {}
