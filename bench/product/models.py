"""The benchmark's models: where they lie, what they are called, and what is sent to them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.runtime import environments
from bench.runtime.systems import IMAGE

TABULAR: Final = ("logistic", "forest", "xgboost")
ALL: Final = (*TABULAR, "cnn", "wait", "compute", "callers")
COLUMNS: Final = tuple(
    f"{how} {what}" if how != "error" else f"{what} error"
    for how in ("mean", "error", "worst")
    for what in (
        "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points",
        "symmetry", "fractal dimension",
    )
)  # fmt: skip
"""Of scikit-learn's breast cancer table."""
ROW: Final = (
    14.22, 23.12, 94.37, 609.9, 0.1075, 0.2413, 0.1981, 0.06618, 0.2384, 0.07542,
    0.286, 2.11, 2.112, 31.72, 0.00797, 0.1354, 0.1166, 0.01666, 0.05113, 0.01172,
    15.74, 37.18, 106.4, 762.4, 0.1533, 0.9327, 0.8488, 0.1772, 0.5166, 0.1446,
)  # fmt: skip


def folder() -> Path:
    """Where the models lie that the peers read."""
    return environments.cache() / "product-models"


def environment(name: str) -> str:
    """Which of the environments in bench.runtime serves it where a peer does."""
    return "torch" if name == "cnn" else "peers"


def trainer(name: str) -> Path:
    """The interpreter that trains it: this one, unless the model's library is not here."""
    return environments.interpreter(environment(name)) if name in ("xgboost", "cnn") else Path(sys.executable)


def ensure(tracking_uri: str, wanted: Sequence[str], *, like: str) -> dict[str, str]:
    """URIs in the registry by model, trained and registered now where they are missing.

    `like`: URI of the demo's model, whose requirements all have, so that they share its layer of the image.
    """
    made: dict[str, str] = {}
    for python in dict.fromkeys(trainer(name) for name in wanted):
        mine = [name for name in wanted if trainer(name) == python]
        script = Path(__file__).with_name("make_models.py")
        done = subprocess.run(
            [str(python), "-P", str(script), str(folder()), tracking_uri, like, *mine],
            env={**os.environ, "GIT_PYTHON_REFRESH": "quiet"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{mine} could not be registered at {tracking_uri}: {done.stderr[-2000:]}")
        made.update(json.loads(done.stdout.splitlines()[-1]))
    return made


def document(name: str) -> dict[str, Any]:
    """One request of one row, as the closed and open loops send it."""
    if name in TABULAR:
        return {"dataframe_split": {"columns": list(COLUMNS), "data": [list(ROW)]}}
    if name == "cnn":
        return {"inputs": [IMAGE]}
    return {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}
