"""`python -m bench.page` writes docs/benchmarks.md from bench/results: no number in it is typed by hand."""

import json
import textwrap
from pathlib import Path
from typing import Any, Final

from bench.product import table
from bench.report import RESULTS

STORIES: Final = Path(__file__).resolve().parents[1] / "tests" / "recorded" / "long.json"
PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_INTRODUCTION: Final = """\
# Benchmarks

Written by `python -m bench.page` from `bench/results`; a test holds the two together. Each section is the last run of
one command. A bar that a run missed says so.
"""
_COMMANDS: Final = {
    "product": ("The product as one, on the cluster", "make bench-product"),
    "deploy": ("Coming up, changing, going back", "make bench-deploy"),
    "iac": ("Stacks of many endpoints", "make bench-iac"),
    "starts": ("From the order of a pod to its first answer", "make bench-starts"),
    "toolchain": ("Building the toolchain from nothing", "make bench-toolchain"),
    "images": ("Images of models", "make bench-images"),
    "weights": ("Large weights on their way to a node", "make bench-weights"),
    "runtime": ("Runtime against other servers", "make bench-runtime"),
    "runtime-against": ("A model pod beside the code before", "python -m bench.runtime --against CHECKOUT"),
    "forms": ("Every form of a request", "make bench-forms"),
    "routing": ("Both proxies by the number of endpoints", "make bench-routing"),
    "observe": ("A record of every request", "make bench-observe"),
    "path": ("Both proxies beside two that only pass requests on", "make bench-path"),
    "rollout": ("Rollouts of good and bad versions, simulated", "make bench-rollout"),
    "soak": ("A million requests", "make soak"),
    "llm": ("vLLM on a GPU, behind the front and alone", "make bench-llm"),
    "autoscaler": ("Autoscaler against other autoscalers", "make bench-autoscaler"),
    "autoscaler-live": ("Simulator against the cluster", "python -m bench.autoscaler.live"),
    "autoscaler-scale": ("The autoscaler among many endpoints", "python -m bench.autoscaler.scale"),
}
_WHOLE: Final = ("product",)
"""Results whose measures are shown beside the bars, a line a case and system."""
_LONGEST_VERSION: Final = 40
"""Characters of a version in running text; where one is longer, as settings are, all are a table."""
LONGEST_LINE: Final = 118
"""Columns of a line of text."""
_VERDICTS: Final = {True: "holds", False: "**missed**", None: "not tested"}


def page(results: Path = RESULTS, stories: Path = STORIES) -> str:
    """The text of the page."""
    sections = [_section(name, results / f"{name}.json") for name in _COMMANDS if (results / f"{name}.json").exists()]
    return "\n".join([_INTRODUCTION, *sections, *([_told(stories)] if stories.exists() else [])])


def _told(path: Path) -> str:
    """How the stories of load and outages ended."""
    record: dict[str, Any] = json.loads(path.read_text())
    rows = [
        f"| {_words(name)} | {story.get('requests', '')} | {story.get('not_200', '')} | {story['seconds']} s "
        f"| {story['outcome'] if story['outcome'] == 'passed' else '**' + story['outcome'] + '**'} |"
        for name, story in record["stories"].items()
    ]
    return "\n".join(
        [
            "## Load and outages on the cluster",
            "",
            f"`{record['command']}`. Machine: {record['machine']}. Kubernetes {record['kubernetes']}.",
            "Open loop, no retries. The story that deletes an endpoint under load lets callers be refused.",
            "",
            "| story | requests | not answered with 200 | took | |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _words(test: str) -> str:
    name, bracket, case = test.rpartition("::test_")[2].partition("[")
    return name.replace("_", " ") + (f" ({case.rstrip(']')})" if bracket else "")


def _section(name: str, path: Path) -> str:
    title, command = _COMMANDS[name]
    result: dict[str, Any] = json.loads(path.read_text())
    machine = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in result["machine"].items())
    versions, listed = result["versions"], []
    if any(len(value) > _LONGEST_VERSION for value in versions.values()):
        listed = ["| measured with | |", "|---|---|", *(f"| {key} | {value} |" for key, value in versions.items()), ""]
    told = "." if listed else f". Versions: {', '.join(f'{key} {value}' for key, value in versions.items())}."
    rows = [
        f"| {bar['name']} | {bar['rule']} | {_number(bar['value'])} | {_VERDICTS[bar['holds']]} |"
        for bar in result["bars"]
    ]
    plots = sorted(plot.name for plot in path.parent.glob(f"{name}*.png") if _owner(plot) == name)
    pictures = [f"![{title}](../bench/results/{plot})" for plot in plots]
    lines = [
        f"## {title}",
        "",
        *textwrap.wrap(f"`{command}`. Machine: {machine}{told}", LONGEST_LINE, break_long_words=False),
        "",
        "| bar | rule | measured | |",
        "|---|---|---|---|",
        *rows,
        "",
        *([*table.table(result["cells"]), ""] if name in _WHOLE else []),
        *listed,
        *pictures,
        "",
    ]
    return "\n".join(lines)


def _owner(plot: Path) -> str:
    """The command whose plot it is: the longest of the names that its own begins with."""
    return max((name for name in _COMMANDS if plot.stem.startswith(name)), key=len)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write() -> None:
    """Writes the page anew."""
    PAGE.write_text(page())


if __name__ == "__main__":
    write()
