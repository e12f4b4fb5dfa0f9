"""docs/metrics.md as data, and a program's exposition in the same form."""

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"


class Metric(NamedTuple):
    """What both say of a metric."""

    kind: str
    labels: frozenset[str]


def told(section: str) -> dict[str, Metric]:
    """The table under a heading of the page, by metric."""
    _, found, rest = PAGE.read_text().partition(f"\n## {section}\n")
    assert found, f"docs/metrics.md has no section {section!r}"
    rows = {}
    for line in rest.partition("\n## ")[0].splitlines():
        if line.startswith("| `"):
            name, kind, unit, labels, meaning = (cell.strip() for cell in line.strip("|").split("|"))
            assert unit, f"{name} has no unit"
            assert meaning, f"{name} has no meaning"
            rows[name.strip("`")] = Metric(kind, frozenset(label.strip() for label in labels.split(",") if label))
    return rows


def exposed(text: str, *, everywhere: frozenset[str] = frozenset()) -> dict[str, Metric]:
    """The metrics of an exposition, without the labels that all series have."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    found = {}
    for name, labels in re.findall(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        family = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
        named = frozenset(re.findall(r'(\w+)="', labels)) - everywhere - {"le"}
        found[family] = Metric(kinds[family], named)
    return found
