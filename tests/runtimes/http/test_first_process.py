"""Real pods whose model never loads: what their first process makes of its arguments, and who sees that it is stopped.

Their interpreter is a program that sleeps, so that nothing but the front starts.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import eventually, free_port


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 600\n")
    python.chmod(0o755)
    return tmp_path


def text(url: str) -> str:
    """What is answered; empty when nobody listens."""
    try:
        return httpx.get(url, timeout=2).text
    except httpx.TransportError:
        return ""


def test_a_pod_whose_first_process_is_stopped_fails_its_probe_until_it_goes_on(
    start_front: Callable[..., Any], model: Path
) -> None:
    with start_front(model, wait=False, arguments=("--python", str(model / "python"))) as front:
        health = front.url + "/health"
        eventually(lambda: "is loading" in text(health), seconds=60)
        os.kill(front.process.pid, signal.SIGSTOP)
        eventually(lambda: "first process is stopped" in text(health), seconds=60)
        os.kill(front.process.pid, signal.SIGCONT)
        eventually(lambda: "is loading" in text(health), seconds=60)


@contextlib.contextmanager
def by_hand(model: Path, log: Path) -> Iterator[int]:
    """Serves a model as a person does, and gives the port."""
    port = free_port()
    command = [sys.executable, "-m", "headrace.runtimes", "--model", str(model), "--python", str(model / "python")]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=output, stderr=output)
    try:
        yield port
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def addresses(log: Path) -> list[str]:
    """Where the log says that one listens."""
    for line in log.read_text().splitlines():
        message = json.loads(line)["body"]
        if message.startswith("listening at "):
            return [part for part in message.replace(",", "").split() if part.startswith("http://")]
    return []


def test_two_by_hand_serve_side_by_side_and_to_their_own_machine(model: Path, tmp_path: Path) -> None:
    logs = [tmp_path / "first", tmp_path / "second"]
    with by_hand(model, logs[0]) as first, by_hand(model, logs[1]) as second:
        for port, log in ((first, logs[0]), (second, logs[1])):
            eventually(lambda port=port: "is loading" in text(f"http://127.0.0.1:{port}/ping"), seconds=60)  # type: ignore[misc] # mypy cannot infer it
            serving, admin = addresses(log)
            assert serving == f"http://127.0.0.1:{port}"
            assert admin.startswith("http://127.0.0.1:")
            assert "headrace_workers_ready" in text(f"{admin}/metrics")
