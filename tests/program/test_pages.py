"""Pages can be read and followed: lines fit a screen, links lead somewhere, and the index has every page."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_LINE = 120
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES += [path for folder in ("docs", "examples") for path in sorted((ROOT / folder).rglob("*.md"))]
FOLDERS = sorted(
    path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".") and path.name != "build"
)
"""But what `make` writes into."""
HISTORY = "docs/decisions/0702-where-code-lives.md"
"""Names paths as they were before."""


def _told(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines outside of code blocks, with their numbers."""
    code = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code:
            yield number, line


def _anchors(path: Path) -> set[str]:
    """What `#…` may follow the page's address, as GitHub makes it of headings."""
    headings = [line.lstrip("#").strip() for _, line in _lines(path) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_line_of_prose_is_longer_than_a_screen_is_wide() -> None:
    """Tables are as wide as their cells, and the address of a link is not read."""
    long = [
        f"{_told(page)}:{number}"
        for page in PAGES
        for number, line in _lines(page)
        if line[:1] != "|" and len(re.sub(r"\]\([^)]*\)", "]", line)) > LONGEST_LINE
    ]

    assert long == []


def test_every_link_to_a_page_or_a_file_leads_to_it() -> None:
    lost = [
        f"{_told(page)}:{number} links to {address}"
        for page in PAGES
        for number, line in _lines(page)
        for address in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line))
        if not re.match(r"[a-z]+:", address) and not _leads(page, address)
    ]

    assert lost == []


def test_every_file_that_a_page_names_exists() -> None:
    """`routing/ads/loop.py` in code type is a path from the top of the repository."""
    pattern = rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+\.(?:py|md|json|yaml|toml|lock))[`:]"
    lost = [
        f"{_told(page)}:{number} names {path}"
        for page in PAGES
        if _told(page) != HISTORY
        for number, line in _lines(page)
        for path in re.findall(pattern, line)
        if not (ROOT / path).exists()
    ]

    assert lost == []


def test_every_file_that_a_verb_reads_or_writes_exists() -> None:
    """`make test-vllm` is run by hand only, so nobody else would see that its file has moved."""
    named = re.findall(rf"(?:{'|'.join(FOLDERS)})/[\w./-]+\.\w+", (ROOT / "Makefile").read_text())

    assert "tests/e2e/test_product.py" in named
    assert [path for path in named if not (ROOT / path).exists()] == []


def _leads(page: Path, address: str) -> bool:
    name, _, anchor = address.partition("#")
    target = (page.parent / name).resolve() if name else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}

    assert {page for page in pages if f"]({page})" not in index} == set()


def test_the_index_tells_what_each_group_of_decisions_is_about() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    groups = {path.name[:2] for path in (ROOT / "docs" / "decisions").glob("*.md")}

    assert {group for group in groups if f"| {group}" not in index} == set()
