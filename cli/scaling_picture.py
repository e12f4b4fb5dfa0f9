"""ScalingPicture: load, pods and limits of an endpoint over time, as ordered and as measured."""

# ruff: noqa: PLC0415 -- matplotlib is an extra that only pictures need.

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headrace.cli.scaling_history import Load, Order
from headrace.contract.errors import InputError, PermanentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS: Final = (
    ("concurrency", "requests at once"),
    ("pods", "pods"),
    ("limit", "requests at once\nthat a pod admits"),
)
"""The console's name of each plot, and what its axis says."""


def new_figure(path: Path, command: str, *, size: tuple[float, float]) -> "Figure":
    """An empty figure of so many inches for a picture of the path's kind.

    Raises InputError for a path of no kind of picture, and PermanentError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PermanentError("a picture needs matplotlib; run `pip install 'headrace[plot]'`, or ask --json") from error
    figure = Figure(figsize=size, layout="constrained")
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix[1:] not in kinds:
        raise InputError(command, [f"--out = {str(path)!r}, must end in one of .{', .'.join(sorted(kinds))}"])
    return figure


def draw(
    path: Path, endpoint: str, orders: Sequence[Order], load: Load | None, *, since: datetime | None, now: datetime
) -> None:
    """Writes a picture of the path's kind: a colour a version, what was ordered in steps, what was measured in lines.

    Raises InputError for a path of no kind of picture, and PermanentError without matplotlib.
    """
    figure = new_figure(path, "headrace plot", size=(10, 7))
    import matplotlib

    panels: list[Any] = list(figure.subplots(3, 1, sharex=True))
    lines = {} if load is None else load.lines
    times = [] if load is None else [datetime.fromtimestamp(time, UTC) for time in load.times]
    versions = sorted({order.version for order in orders} | {name for line in lines.values() for name in line})
    for position, version in enumerate(versions):
        colour = f"C{position % 10}"
        panels[0].plot([], [], "o", color=colour, label=version)
        for panel, (key, _) in zip(panels, _PANELS, strict=True):
            if line := lines.get(key, {}).get(version):
                values = [float("nan") if value is None else value for value in line]
                panel.plot(times, values, color=colour, linewidth=1, alpha=0.6)
        if ours := [order for order in orders if order.version == version]:
            _add(panels, ours, colour, now)
    for panel, (_, title) in zip(panels, _PANELS, strict=True):
        panel.set_ylabel(title)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    panels[-1].set_xlim(since, now)
    panels[-1].set_xlabel("time (UTC)")
    panels[0].legend(loc="upper left")
    figure.suptitle(f"{endpoint}: dots and steps as the autoscaler expected and ordered, thin lines as measured")
    try:
        with matplotlib.rc_context({"svg.fonttype": "none"}):  # text stays text
            figure.savefig(path)
    except OSError as error:
        raise PermanentError(f"--out = {str(path)!r} cannot be written ({error.strerror}); name another") from error


def _add(panels: Sequence[Any], orders: Sequence[Order], colour: str, now: datetime) -> None:
    """The orders of one version, the last of which is in force until now."""
    demanded = [order for order in orders if order.demand is not None]
    panels[0].plot([order.time for order in demanded], [order.demand for order in demanded], "o", color=colour)
    times = [*(order.time for order in orders), now]
    pods, limits = [order.replicas for order in orders], [order.concurrency for order in orders]
    panels[1].step(times, [*pods, pods[-1]], where="post", color=colour)
    panels[2].step(times, [*limits, limits[-1]], where="post", color=colour)
    for order in orders:
        code = order.reasons[-1].partition(":")[0] if order.reasons else ""
        panels[1].annotate(code, (order.time, order.replicas), rotation=60, fontsize=7, color=colour)
