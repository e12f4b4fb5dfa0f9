"""What the machine itself lacks is told in one sentence, before anything is made."""

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from headrace.contract.errors import PermanentError
from headrace.stacks.local import cluster, registry
from headrace.stacks.local.progress import Progress


@pytest.fixture
def state(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_STATE", str(short_path / "state"))
    return short_path / "state"


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another program that answers where the tracking server would listen."""

    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Healthy)
    monkeypatch.setattr(registry, "PORT", server.server_address[1])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


def test_every_reason_why_the_embedded_cluster_cannot_run_is_told_at_once(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 1024**3))

    with pytest.raises(PermanentError) as caught:
        cluster.start(Progress("test", steps=1))

    assert str(caught.value) == (
        "user id = 1000, must be 0 to run the embedded cluster; run as root or set HEADRACE_KUBECONFIG; "
        f"free disk at {state} = 3.0 GiB, must be at least 8 GiB; free some or set HEADRACE_STATE to a larger disk"
    )
    assert list(state.iterdir()) == []


@pytest.mark.usefixtures("somebody")
def test_a_tracking_servers_port_in_use_is_named(state: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        registry.start()

    assert str(caught.value) == (
        f"port in use: {registry.PORT} (MLflow tracking server), must be free; end the program that listens there or "
        "set MLFLOW_TRACKING_URI to the server you want"
    )
