"""The MLflow tracking server of the embedded default: a real server process on loopback, SQLite and local artifacts."""

import os
import sys
import time
import urllib.error
import urllib.request
from typing import Final

from headrace.contract.errors import PermanentError, TemporaryError
from headrace.local.paths import private_directory, state_directory
from headrace.local.processes import Daemon

PORT: Final = 15000
_READY_SECONDS: Final = 90.0


def _server() -> Daemon:
    folder = state_directory() / "mlflow"
    return Daemon(
        name="mlflow",
        command=[
            *(sys.executable, "-m", "mlflow", "server"),
            "--host=127.0.0.1",
            f"--port={PORT}",
            "--workers=1",
            f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}",
            f"--artifacts-destination={folder / 'artifacts'}",
        ],
        folder=folder,
        # the job runner of MLflow's own gateway would double the server's memory, and nothing here uses it
        environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        umask=0o077,
    )


def start() -> str:
    """Starts the server unless it runs, waits until it answers, and returns its tracking URI.

    The user's own server is used instead when MLFLOW_TRACKING_URI is set. Raises PermanentError when another program
    listens on the port, TemporaryError when the server does not come up; the message carries the end of its log.
    """
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return uri()
    server = _server()
    if server.pid() is None and _healthy():
        raise PermanentError(
            f"port in use: {PORT} (MLflow tracking server), must be free; end the program that listens there or set "
            "MLFLOW_TRACKING_URI to the server you want"
        )
    private_directory(server.folder)
    server.start()
    deadline = time.monotonic() + _READY_SECONDS
    while not _healthy():
        if server.pid() is None or time.monotonic() > deadline:
            raise TemporaryError(f"the MLflow tracking server did not come up; its last lines:\n{server.tail()}")
        time.sleep(0.2)
    return uri()


def uri() -> str:
    """MLFLOW_TRACKING_URI when the user set it, else this checkout's own server."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"http://127.0.0.1:{PORT}"


def stop() -> None:
    """Ends the server; its runs and models stay in the state folder."""
    _server().stop(grace_seconds=5)


def running() -> bool:
    """Whether the server process of this checkout lives."""
    return _server().pid() is not None


def _healthy() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
