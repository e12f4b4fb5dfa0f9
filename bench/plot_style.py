"""One look of all plots: the colour and written name of each system, fonts, values on bars, and when an axis is
logarithmic. Only what draws imports it, because matplotlib takes half a second to load."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot, ticker

PAPER, INK, FAINT, GRID = "#fcfcfa", "#22262b", "#6b7280", "#e3e5e8"
"""An own, light background: on a dark page and on a light one the picture looks the same."""
OURS: Final = "#0072b2"
GOOD, BAD, LOAD = "#0072b2", "#d55e00", "#6b7280"
"""A bar that holds, one that is missed, and what clients send."""
_COLOURS: Final[Mapping[str, str]] = {
    "Headrace": OURS,
    "MLflow": "#e69f00",
    "FastAPI": "#009e73",
    "BentoML": "#cc79a7",
    "Ray Serve": "#56b4e9",
    "MLServer": "#8c6239",
    "Knative": "#7b52ab",
    "HPA": "#4d9221",
    "KEDA": "#b8a000",
    "vLLM": FAINT,
    "bare Envoys": "#9aa1ab",
    "the pod alone": "#c9cdd3",
    "simulator": BAD,
    "published rule": INK,
    "oracle": "#c9cdd3",
}
"""Of Okabe and Ito where they suffice, which colour-blind readers tell apart. A name that is not here is grey."""
_NAMES: Final[Mapping[str, str]] = {
    "headrace": "Headrace",
    "headrace, FP8": "Headrace, FP8",
    "cluster": "Headrace on the cluster",
    "mlflow": "MLflow",
    "fastapi": "FastAPI",
    "bentoml": "BentoML",
    "ray": "Ray Serve",
    "mlserver": "MLServer",
    "vllm": "vLLM alone",
    "ours fixed": "Headrace, fixed pods",
    "logistic": "scikit-learn logistic",
    "forest": "scikit-learn forest",
    "xgboost": "XGBoost",
    "cnn": "PyTorch CNN",
    "sklearn": "scikit-learn",
    "llm": "language model",
    "callers": "50 callers that wait",
    "steps": "load in steps",
    "compute": "model that computes",
    "wait": "model that waits",
    "image": "image model",
}
"""Words of the results, as people write them."""
DECADE: Final = 10.0
"""From this ratio of the largest to the smallest value, bars or points are drawn with logarithms."""
matplotlib.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.facecolor": PAPER,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "text.color": INK,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "lines.linewidth": 1.4,
        "figure.facecolor": PAPER,
        "figure.titlesize": 11,
        "figure.titleweight": "bold",
        "savefig.facecolor": PAPER,
        "figure.constrained_layout.use": True,
    }
)


def panels(rows: int, columns: int, *, width: float = 10.0, height: float, **how: Any) -> tuple[Any, Any]:
    """A figure of `width` x `height` inches and its axes, a grid of `rows` x `columns` even where that is one."""
    return pyplot.subplots(rows, columns, figsize=(width, height), squeeze=False, **how)


def save(figure: Any, path: Path) -> None:
    """Writes the picture and lets the figure go."""
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def name(word: str) -> str:
    """A system, model or case as people write it; what the results say where that is no word of theirs."""
    head, comma, rest = word.partition(", ")
    return _NAMES.get(word) or _NAMES.get(head, head) + comma + rest


def colour(word: str) -> str:
    """The system's colour, whatever its settings: `Knative KPA, delay 60 s` has that of Knative."""
    written = name(word)
    found = [system for system in _COLOURS if written.startswith(system)]
    return _COLOURS[max(found, key=len)] if found else "#9aa1ab"


def number(value: float) -> str:
    """Three digits that matter, two below one, without powers of ten: 18,420, 127, 2.91, 0.043."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    kept = 3 if abs(value) >= 1 else 2
    digits = max(0, kept - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def values_on(axis: Any, bars: Any, texts: Sequence[str]) -> None:
    """Writes `texts` at the ends of a container's bars."""
    axis.bar_label(bars, texts, padding=3, fontsize=6.5, color=INK)


def scale(axis: Any, values: Iterable[float], *, which: str = "y") -> None:
    """A logarithmic axis where the values range over a decade, else a linear one from zero; plain numbers on both.

    A logarithmic axis begins at the power of ten below the smallest value, and ends with room for what stands on the
    largest.
    """
    found = [value for value in values if math.isfinite(value) and value > 0]
    line = axis.yaxis if which == "y" else axis.xaxis
    limits = axis.set_ylim if which == "y" else axis.set_xlim
    if not found or max(found) < DECADE * min(found):
        limits(0, 1.15 * max(found, default=1.0))
    else:
        (axis.set_yscale if which == "y" else axis.set_xscale)("log")
        low, high = 10 ** math.floor(math.log10(min(found))), max(found)
        limits(low, high * (high / low) ** 0.15)
        line.set_major_locator(ticker.LogLocator())
        line.set_minor_formatter(ticker.NullFormatter())
    line.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.grid(visible=False, axis="x" if which == "y" else "y")


def legend(figure: Any, handles: Mapping[str, Any], *, side: str = "lower") -> None:
    """One legend for all panels, under them or, where a label of all stands there, over them (`upper`)."""
    figure.legend(handles.values(), handles.keys(), loc=f"outside {side} center", ncols=7)
