"""The tracking server's port may be another program's: that is told before anything starts. What the server keeps is
its owner's alone."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from patience import free_port

from headrace.contract.errors import PermanentError
from headrace.local import tracking_server


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
    monkeypatch.setattr(tracking_server, "PORT", server.server_address[1])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("somebody")
def test_a_tracking_servers_port_in_use_is_named(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_STATE", str(short_path / "state"))

    with pytest.raises(PermanentError) as caught:
        tracking_server.start()

    assert str(caught.value) == (
        f"port in use: {tracking_server.PORT} (MLflow tracking server), must be free; end the program that listens "
        "there or set MLFLOW_TRACKING_URI to the server you want"
    )


@pytest.mark.slow
def test_what_the_tracking_server_keeps_cannot_be_read_by_others(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_STATE", str(short_path / "state"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracking_server, "PORT", free_port())
    try:
        tracking_server.start()
    finally:
        tracking_server.stop()

    kept = {path.name: path.stat().st_mode & 0o077 for path in (short_path / "state").rglob("*")}
    assert kept["mlflow.db"] == 0
    assert set(kept.values()) == {0}, kept
