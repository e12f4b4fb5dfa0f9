"""No package imports itself through others: in every folder, its folders and modules stand in one order."""

import configparser
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
Edge = tuple[str, str]


@dataclass(frozen=True)
class Siblings:
    """Who imports whom among the folders and modules of every folder, those for type checking included."""

    imports: dict[str, dict[str, Edge]] = field(default_factory=dict)
    """Importer → imported → the modules of one such import."""

    def add(self, importer: str, imported: str) -> None:
        """Files an import under the two siblings that it connects; one between a package and its own part is none."""
        here, there = importer.split("."), imported.split(".")
        shared = next((at for at, pair in enumerate(zip(here, there, strict=False)) if pair[0] != pair[1]), None)
        if shared is not None:
            ours, theirs = ".".join(here[: shared + 1]), ".".join(there[: shared + 1])
            self.imports.setdefault(ours, {}).setdefault(theirs, (importer, imported))

    def knots(self) -> list[frozenset[str]]:
        """Sets of siblings of which each imports every other, directly or through others."""
        reached = {name: _reached(name, self.imports) for name in self.imports}
        knots = {
            frozenset({name} | {other for other in reached[name] if name in reached.get(other, ())})
            for name in self.imports
        }
        return sorted((knot for knot in knots if len(knot) > 1), key=sorted)

    def shortest_cycle(self, knot: Iterable[str]) -> list[Edge]:
        """The imports that make the shortest way from a member of the knot back to itself."""
        return min((self._way_back(name) for name in sorted(knot)), key=len)

    def _way_back(self, start: str) -> list[Edge]:
        ways: deque[tuple[str, list[Edge]]] = deque([(start, [])])
        seen = set[str]()
        while ways:
            name, way = ways.popleft()
            for imported, edge in self.imports.get(name, {}).items():
                if imported == start:
                    return [*way, edge]
                if imported not in seen:
                    seen.add(imported)
                    ways.append((imported, [*way, edge]))
        raise AssertionError(f"{start} is in no cycle")


def _reached(start: str, imports: dict[str, dict[str, Edge]]) -> set[str]:
    found, todo = set[str](), [start]
    while todo:
        for imported in imports.get(todo.pop(), {}):
            if imported not in found:
                found.add(imported)
                todo.append(imported)
    return found


def _sentence(siblings: Siblings, knot: frozenset[str]) -> str:
    steps = [f"{importer} imports {imported}" for importer, imported in siblings.shortest_cycle(knot)]
    return f"{', '.join(sorted(knot))}: " + "; ".join(steps)


def _imports_of_the_product() -> Iterator[Edge]:
    settings = configparser.ConfigParser()
    settings.read(ROOT / ".importlinter")
    roots = settings["importlinter"]["root_packages"].split()
    graph = grimp.build_graph(*roots, exclude_type_checking_imports=False, cache_dir=None)
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            yield module, imported


def test_no_folder_holds_a_cycle_of_imports() -> None:
    siblings = Siblings()
    for importer, imported in _imports_of_the_product():
        siblings.add(importer, imported)

    assert [_sentence(siblings, knot) for knot in siblings.knots()] == []


@pytest.mark.parametrize(
    ("imports", "cycle"),
    [
        ([("a.x", "b.y"), ("b.z", "a.w")], [("a.x", "b.y"), ("b.z", "a.w")]),  # packages, though no module has a cycle
        ([("a.b.x", "a.c.y"), ("a.c.z", "a.b.w")], [("a.b.x", "a.c.y"), ("a.c.z", "a.b.w")]),  # further down
        ([("a.x", "a.y"), ("a.y", "a.z"), ("a.z", "a.x"), ("a.z", "a.y")], [("a.y", "a.z"), ("a.z", "a.y")]),
        ([("a.x", "b.y"), ("b.y", "c.z")], []),
        ([("a", "a.x"), ("a.x", "a")], []),  # a package that exports its part, which asks it for another
    ],
)
def test_a_cycle_is_found_at_every_level_and_told_by_its_shortest_way(imports: list[Edge], cycle: list[Edge]) -> None:
    siblings = Siblings()
    for edge in imports:
        siblings.add(*edge)

    assert [siblings.shortest_cycle(knot) for knot in siblings.knots()] == ([cycle] if cycle else [])
