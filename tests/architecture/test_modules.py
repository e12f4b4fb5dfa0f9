"""Rules on the source itself that no linter here knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "contract",
    "components",
    "kube",
    "routing",
    "autoscaler",
    "observability",
    "runtimes",
    "policy",
    "plugin",
    "images",
    "stacks",
    "local",
    "cli",
    "bench",
)
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
LONGEST = 400
ONE_MEANING_EVERYWHERE = {
    "__init__": "what a package exports",
    "__main__": "what `python -m` runs",
    "telemetry": "the metrics that a program serves of itself",
    "settings": "what a program reads from its environment, checked",
}
"""Names of modules that may stand in three folders, because they mean the same in each."""


def test_modules_stay_short_enough_to_read_at_once() -> None:
    long = {_name(path): lines for path in MODULES if (lines := len(path.read_text().splitlines())) >= LONGEST}

    assert long == {}


def test_modules_are_named_by_the_noun_they_hold() -> None:
    vague = [_name(path) for path in MODULES if path.stem in {"utils", "util", "helpers", "helper", "common", "misc"}]

    assert vague == []


def test_no_name_has_three_meanings() -> None:
    folders: dict[str, list[str]] = {}
    for path in MODULES:
        if path.relative_to(ROOT).parts[0] != "bench":  # whose modules are measurements, and read one at a time
            folders.setdefault(path.stem, []).append(_name(path))

    assert {
        stem: places for stem, places in folders.items() if len(places) >= 3 and stem not in ONE_MEANING_EVERYWHERE
    } == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        _name(path)
        for path in MODULES
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "NotImplementedError"])
def test_nothing_is_left_for_later(word: str) -> None:
    assert [_name(path) for path in MODULES if re.search(rf"\b{word}\b", path.read_text())] == []


def test_nothing_depends_on_the_machine_it_was_written_on() -> None:
    found = [_name(path) for path in MODULES if re.search(r"/(work|root|home)/", path.read_text())]

    assert found == []


def test_zero_is_a_value() -> None:
    """`x or 3` turns a configured 0 into 3; scaling to zero depends on its being kept."""
    assert [place for path in MODULES for place in _defaults_by_or(path)] == []


def test_component_modules_keep_their_annotations_readable_by_pulumi() -> None:
    """Schema inference reads raw annotations and dies of the strings that this import would make of them."""
    late = [
        _name(path)
        for path in MODULES
        if path.parts[len(ROOT.parts)] == "components" and "from __future__ import annotations" in path.read_text()
    ]

    assert late == []


def _defaults_by_or(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            last = node.values[-1]
            number = isinstance(last, ast.Constant) and type(last.value) in (int, float)
            never_zero = ("os.cpu_count()",)  # None or at least one
            if number and last.value != 0 and ast.unparse(node.values[0]) not in never_zero:
                yield f"{_name(path)}:{node.lineno}"


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
