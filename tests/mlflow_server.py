"""Real MLflow tracking servers, of several releases."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import package_cache
import requests
from patience import eventually, free_port

_QUICK = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Without the job runner of MLflow's own gateway a server is there in half the time."""


@contextmanager
def running(
    root: Path, *options: str, python: Path = Path(sys.executable), environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A server on loopback that hands out artifacts itself, as a team runs one; ended afterwards."""
    port = free_port()
    command = [str(python), "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1", *options]
    command += [f"--backend-store-uri=sqlite:///{root}/mlflow.db", f"--artifacts-destination={root}/artifacts"]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **_QUICK, **(environment or {})},
            cwd=root,
        )
    try:

        def answers() -> bool:
            try:
                return requests.get(f"http://127.0.0.1:{port}/health", timeout=20).ok
            except requests.RequestException:
                return False

        eventually(
            lambda: process.poll() is not None or answers(),
            "the tracking server answers",
            seconds=400,
            every_seconds=0.1,
        )
        assert process.poll() is None, (root / "log").read_text()[-2000:]
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself, and its log is shown
            os.killpg(process.pid, 15)
        process.wait(timeout=30)


def python_with(version: str) -> Path:
    """An interpreter with that release of MLflow, in the cache; made when it is missing."""
    # Packages of its years: SQLAlchemy 2.1 and setuptools 81 lack what it imports.
    requirements = (f"mlflow=={version}", "sqlalchemy==2.0.49", "setuptools==69.5.1")
    return package_cache.interpreter(f"mlflow-server-{version}", *requirements)
