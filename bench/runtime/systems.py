"""How each system serves a model, in its best settings on two cores, and how its requests look."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench import bodies
from bench.bodies import Form
from bench.runtime import environments

PEERS = Path(__file__).with_name("peers")
WARM_UP_SECONDS = 0.7
OUR_MODULE: Final = "headrace.runtimes"
SETTINGS: Final = {
    "headrace": "defaults",
    "mlflow": "mlflow models serve --workers 2",
    "fastapi": "uvicorn --workers 2 --loop uvloop --http httptools, 64 threads",
    "bentoml": "workers=2, threads=64, batchable (adaptive)",
    "ray": "num_replicas=2, @serve.batch(64, wait 0)",
    "mlserver": "sklearn runtime, max_batch_size=64, max_batch_time=0.002, parallel_workers=2",
}
"""How each system is set up for two cores."""
IMAGE = [[[(at * 28 + across) % 7 / 10 for across in range(28)] for at in range(28)]]
"""An input of the convolutional network."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running system."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    path: str
    body: Callable[[list[Any]], str]

    def job(self, body: str, content_type: str = bodies.JSON, **load: Any) -> dict[str, Any]:
        """A job of the load client."""
        headers = (("Content-Type", content_type),)
        form = Form(name=self.name, path=self.path, headers=headers, body=body.encode())
        return {**form.job("127.0.0.1", self.port), "warm_up_seconds": WARM_UP_SECONDS, **load}

    def cpu_seconds(self) -> float:
        """CPU time of all its processes."""
        total = 0.0
        for pid in session_members(self.process.pid):
            try:
                total += time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
            except OSError:
                continue
        return total

    def resident_mebibytes(self) -> float:
        """Memory of all its processes, shared pages counted in each."""
        total = 0
        for pid in session_members(self.process.pid):
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except (OSError, IndexError):
                continue
        return total / 2**20

    def stop(self) -> None:
        """Ends all its processes."""
        members = session_members(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def session_members(leader: int) -> list[int]:
    """The leader and every descendant, whatever session it moved to."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, open_ = [], [leader]
    while open_:
        pid = open_.pop()
        found.append(pid)
        open_ += children.get(pid, [])
    return found


@dataclass(frozen=True, kw_only=True)
class Model:
    """A saved model of the benchmark."""

    directory: Path
    name: str
    columns: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its MLflow directory."""
        return str(self.directory / self.name)


def split(columns: list[str]) -> Callable[[list[Any]], str]:
    """Bodies in MLflow's split form."""
    return lambda rows: json.dumps({"dataframe_split": {"columns": columns, "data": rows}})


def tensor(rows: list[Any]) -> str:
    """Bodies of a model without columns."""
    return json.dumps({"inputs": rows})


def _tensor(rows: list[list[float]]) -> str:
    shape = [len(rows), len(rows[0])]
    data = [value for row in rows for value in row]
    return json.dumps({"inputs": [{"name": "rows", "shape": shape, "datatype": "FP64", "data": data}]})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> None:
    """Waits until something accepts connections at a port; RuntimeError after ten seconds."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens at port {port}")


def _start(command: list[str], log: Path, cwd: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
    settings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    settings.update({"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **environment})
    with log.open("wb") as output:
        return subprocess.Popen(command, env=settings, cwd=cwd, stdout=output, stderr=output, start_new_session=True)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path, body: str | None) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            data = None if body is None else body.encode()
            urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": bodies.JSON}), timeout=10)
            return
        except (OSError, urllib.error.URLError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.25)


def start(
    system: str, model: Model, logs: Path, *, python: str = "", ours: tuple[str, str] = (sys.executable, OUR_MODULE)
) -> Served:
    """Starts one system on a model and waits until it answers.

    `python` is an interpreter that can load the model; by default that of the peers' environment. `ours`: interpreter
    and module of our own server.
    """
    port = free_port()
    log = logs / f"{system}-{model.name}.log"
    body, path, cwd = split(model.columns) if model.columns else tensor, "/invocations", None
    batched = model.name != "waiting"
    environment: Mapping[str, str] = {
        "BENCH_MODEL": model.path,
        "BENCH_COLUMNS": json.dumps(model.columns),
        "BENCH_BATCHED": "1" if batched else "0",
    }
    peers = python if python else str(environments.interpreter("torch" if model.name == "cnn" else "peers"))
    if system == "headrace":
        interpreter, module = ours
        command = [interpreter, "-m", module, "--model", model.path, "--python", peers]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        command += ["--admin-port", str(free_port())]
    elif system == "mlflow":
        command = [
            peers,
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            model.path,
            "-p",
            str(port),
            "--env-manager",
            "local",
        ]
        command += ["--workers", "2"]
        environment = {**environment, "PATH": str(Path(peers).parent) + os.pathsep + os.environ["PATH"]}
    elif system == "fastapi":
        command = [peers, "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--workers", "2"]
        command += ["--no-access-log", "--loop", "uvloop", "--http", "httptools"]
        path, cwd = "/predict", PEERS
    elif system == "bentoml":
        command = [peers, "-m", "bentoml", "serve", "bento_service:Model", "-p", str(port), "--host", "127.0.0.1"]
        path, cwd = "/predict", PEERS
        body = lambda rows: json.dumps({"rows": rows})  # noqa: E731
    elif system == "ray":
        command = [str(environments.interpreter("ray")), str(PEERS / "ray_app.py"), str(port)]
        path = "/predict"
    else:
        command, cwd = (
            [str(environments.interpreter("mlserver").with_name("mlserver")), "start", "."],
            logs / f"ml-{port}",
        )
        cwd.mkdir(parents=True)
        _mlserver_settings(cwd, model, port)
        path, body = "/v2/models/model/infer", _tensor
    process = _start(command, log, cwd, **environment)
    served = Served(name=system, process=process, port=port, path=path, body=body)
    example: list[Any] = [[1.0] * len(model.columns)] if model.columns else [IMAGE]
    try:
        _wait(process, f"http://127.0.0.1:{port}{path}", log, body(example))
    except RuntimeError:
        served.stop()
        raise
    return served


def _mlserver_settings(directory: Path, model: Model, port: int) -> None:
    server = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (directory / "settings.json").write_text(json.dumps({**server, "parallel_workers": 2, "debug": False}))
    described = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "max_batch_size": 64,
        "max_batch_time": 0.002,
        "parameters": {"uri": f"{model.path}.joblib"},
    }
    (directory / "model-settings.json").write_text(json.dumps(described))
