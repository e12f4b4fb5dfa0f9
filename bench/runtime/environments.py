"""Virtual environments of the peers, in the cache; each made once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SHARED = ["mlflow==3.17.2", "scikit-learn==1.9.1", "pandas==3.1.1", "numpy==2.4.6"]
REQUIREMENTS = {
    "peers": [*SHARED, "bentoml==1.4.39", "fastapi", "uvicorn", "httptools", "uvloop"],
    # PyPI's torch carries CUDA (5 GB unpacked); there is no smaller one there. Only the CNN needs it.
    "torch": [*SHARED, "bentoml==1.4.39", "fastapi", "uvicorn", "httptools", "uvloop", "torch==2.13.0"],
    "ray": [*SHARED, "ray[serve]==2.60.0"],
    # MLServer 1.7.1 starts its loop in a way that uvloop 0.22 took away.
    "mlserver": [*SHARED, "mlserver==1.7.1", "mlserver-mlflow==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22"],
}
WITHOUT_DEPENDENCIES = ["xgboost==3.2.0"]  # its only other dependency is a GPU library


def cache() -> Path:
    """Where the benchmark keeps what it can make again."""
    root = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(root) / "headrace" / "bench"


def interpreter(name: str) -> Path:
    """The interpreter of an environment, which is made when it is missing."""
    directory = cache() / name
    python = directory / "bin" / "python"
    done = directory / ".complete"
    directory.parent.mkdir(parents=True, exist_ok=True)
    wanted = "\n".join(REQUIREMENTS[name] + WITHOUT_DEPENDENCIES)
    if done.exists() and done.read_text() == wanted:
        return python
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not python.exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(directory)], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(python)]
    subprocess.run([*install, *REQUIREMENTS[name]], check=True)
    subprocess.run([*install, "--no-deps", *WITHOUT_DEPENDENCIES], check=True)
    done.write_text(wanted)
    return python
