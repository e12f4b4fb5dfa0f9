"""DriftPicture: how far each column was from its baseline in each check."""

# ruff: noqa: PLC0415 -- matplotlib is an extra that only pictures need.

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from headrace.cli.scaling_picture import new_figure
from headrace.contract.errors import InputError

_NAMED_MOST: Final = 10
"""Columns with a colour and a name, those that were farthest; the others are grey."""


def draw(path: Path, endpoint: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a picture of the path's kind: a line a column and version, and a dot where it has drifted.

    Raises InputError for a path of no kind of picture or that cannot be written, and PermanentError without matplotlib.
    """
    figure = new_figure(path, "headrace drift", size=(10, 5))
    import matplotlib

    lines: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        lines[f"{row['served_entity_id']} {row['kind']} {row['column']}"].append(row)
    panel = figure.subplots()
    farthest = sorted(lines, key=lambda name: -max(row["distance"] for row in lines[name]))
    for rank, name in enumerate(farthest):
        times = [row["checked_at"] for row in lines[name]]
        distances = [row["distance"] for row in lines[name]]
        colour = f"C{rank}" if rank < _NAMED_MOST else "lightgrey"
        # a label that begins with an underscore is matplotlib's sign for none
        label = name.replace("$", r"\$") if rank < _NAMED_MOST else "_"
        panel.plot(times, distances, color=colour, linewidth=1, marker=".", markersize=3, label=label)
        drifted = [(row["checked_at"], row["distance"]) for row in lines[name] if row["drifted"]]
        if drifted:
            panel.plot(*zip(*drifted, strict=True), "o", color=colour)
    panel.set_ylim(0, 1)
    panel.set_ylabel("distance of the distributions")
    panel.set_xlabel("check (UTC)")
    panel.grid(alpha=0.3)
    panel.legend(loc="upper left", fontsize="small")
    figure.autofmt_xdate()
    figure.suptitle(f"{endpoint}: distance from the version's first requests, dots where it is drift")
    try:
        with matplotlib.rc_context({"svg.fonttype": "none"}):  # text stays text
            figure.savefig(path)
    except OSError as error:
        raise InputError("headrace drift", [f"--out = {str(path)!r} cannot be written: {error}"]) from error
