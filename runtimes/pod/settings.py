"""What the front is told at start: arguments for local runs, environment variables in a pod."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.contract.inference_table import ENV_RECORDING, Recording
from headrace.contract.runtime import ENV_ENGINE, EnginePlan
from headrace.contract.telemetry import ENV_SPAN_SPOOL

ROTATION_SECONDS = 5.0
"""After SIGTERM: how long the pod serves on, not ready, while routing takes it out; a quarter of a short grace."""

ALL_ADDRESSES = "0.0.0.0"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that is decided before the first request."""

    model: Path
    """MLflow model directory."""
    python: Path
    """Interpreter of the model's environment."""
    host: str = ALL_ADDRESSES
    port: int = names.FRONT_PORT
    admin_port: int | None = names.FRONT_ADMIN_PORT
    """0 leaves the admin interface out; None takes a port that is free."""
    endpoint: str = "model"
    version: str = ""
    """Served version, sent in every answer; empty sends none."""
    image: str = ""
    """Image of the pod, pinned by digest; empty where that is not known."""
    cores: float = 1.0
    """CPU cores that this pod may use."""
    memory_bytes: int | None = None
    """Memory that this pod may use; None when it is not limited."""
    concurrency: int | None = None
    """Requests executing at once at start; None derives it from the cores."""
    workers: int | None = None
    """Worker processes; None derives them from cores and measured memory."""
    grace_seconds: float = 30.0
    """Time from SIGTERM to exit."""
    timeout_seconds: float = names.DEFAULT_TIMEOUT_SECONDS
    """Longest time one request may take, queueing included."""
    run_directory: Path = Path("/tmp/headrace")
    """Sockets; the only place the front writes to."""
    termination_log: Path = Path("/dev/termination-log")
    """Where Kubernetes looks for the reason of an exit; left alone when it does not exist."""
    engine: EnginePlan | None = None
    """How to start somebody else's program that serves the model; None: our own workers serve it."""
    recording: Recording | None = None
    """Which requests are recorded, and where; None: none is."""
    span_spool: Path | None = None
    """Where what spans are made of waits for the sidecar; None: no spans are made."""
    failure_hold_seconds: float = 10.0
    """How long a model that cannot be served keeps saying why at /ping before the pod exits."""

    @property
    def worker_count(self) -> int:
        """Processes to aim for: as said, or one a core; an engine is one, whose own processes are its affair."""
        if self.engine is not None:
            return 1
        return max(1, int(self.cores)) if self.workers is None else self.workers


def cores_allowed(root: Path = Path("/sys/fs/cgroup")) -> float:
    """CPU cores this process may use: its affinity, or less where a cgroup (v2 or v1) sets a quota."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return cores
    if quota in ("max", "-1"):
        return cores
    return min(cores, int(quota) / int(period))


def memory_allowed(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes of memory the cgroup (v2 or v1) allows; None when it sets no limit."""
    for path in (root / "memory.max", root / "memory/memory.limit_in_bytes"):
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text != "max" and int(text) < 1 << 60:  # v1 writes "no limit" as a page-rounded 2^63
            return int(text)
        return None
    return None


def _number(environment: Mapping[str, str], name: str, *, least: float, faults: list[str]) -> float | None:
    text = environment.get(name, "")
    if text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value >= least:
        faults.append(f"{name} = {text!r}, must be a number of at least {least:g}")
        return None
    return value


def _engine(plan: Path | None, environment: Mapping[str, str], faults: list[str]) -> EnginePlan | None:
    text = plan.read_text() if plan is not None else environment.get(ENV_ENGINE, "")
    if not text:
        return None
    try:
        value = json.loads(text)
        return EnginePlan.from_json(value.get("engine", value))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        faults.append(f"{ENV_ENGINE} (or --plan) must be the JSON of a plan: {error}")
        return None


def _recording(environment: Mapping[str, str], faults: list[str]) -> Recording | None:
    text = environment.get(ENV_RECORDING, "")
    if not text:
        return None
    try:
        return Recording.from_json(json.loads(text))
    except (ValueError, InputError) as error:
        faults.append(f"{ENV_RECORDING} must be the JSON of a Recording: {error}")
        return None


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Reads the command line and the environment. InputError names every value that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="headrace.runtimes",
        description="Serves one MLflow model. Without --model and --port, as in an image: at all addresses.",
    )
    parser.add_argument("--model", type=Path, help="MLflow model directory; an image's own where it is not given")
    parser.add_argument("--python", type=Path, help="interpreter of the model's environment; an image's, else this one")
    parser.add_argument("--host", help=f"address to listen at; {LOOPBACK} where a model or a port is given")
    parser.add_argument("--port", type=int, help=f"{names.FRONT_PORT} where it is not given")
    parser.add_argument(
        "--admin-port", type=int, help=f"{names.FRONT_ADMIN_PORT}, or a free one where --port is given; 0: none"
    )
    parser.add_argument("--run-directory", type=Path, default=None, help="where sockets go")
    parser.add_argument("--failure-hold-seconds", type=float, default=10.0)
    parser.add_argument("--termination-log", type=Path, default=Path("/dev/termination-log"), help="why it ended")
    parser.add_argument("--plan", type=Path, help="a file with an EnginePlan as JSON; without one: " + ENV_ENGINE)
    given = parser.parse_args(arguments)
    by_hand = given.model is not None or given.port is not None
    if given.admin_port is None and given.port is None:
        given.admin_port = names.FRONT_ADMIN_PORT
    given.host = given.host or (LOOPBACK if by_hand else ALL_ADDRESSES)
    given.port = names.FRONT_PORT if given.port is None else given.port
    given.model = given.model or Path(names.MODEL_HOME)
    if given.python is None:
        given.python = Path(names.MODEL_ENVIRONMENT) / "bin/python"
        if by_hand and not given.python.exists():
            given.python = Path(sys.executable)
    faults: list[str] = []
    engine = _engine(given.plan, environment, faults)
    if engine is not None and not os.access(given.python, os.X_OK):
        given.python = Path("/usr/bin/python3")  # an engine's image has no environment of the model's
    recording = _recording(environment, faults)
    concurrency = _number(environment, names.ENV_CONCURRENCY, least=1, faults=faults)
    workers = _number(environment, names.ENV_WORKERS, least=1, faults=faults)
    grace = _number(environment, names.ENV_GRACE_SECONDS, least=0, faults=faults)
    timeout = _number(environment, names.ENV_TIMEOUT_SECONDS, least=0.001, faults=faults)
    if not (given.model / "MLmodel").is_file():
        faults.append(f"--model = {given.model}, must be an MLflow model directory (there is no MLmodel file in it)")
    if not os.access(given.python, os.X_OK):
        faults.append(f"--python = {given.python}, must be an executable interpreter")
    if faults:
        raise InputError("front", faults)
    return Settings(
        model=given.model.absolute(),
        python=given.python.absolute(),  # not resolved: a virtual environment is recognised by the path of its link
        host=given.host,
        port=given.port,
        admin_port=given.admin_port,
        endpoint=environment.get(names.ENV_ENDPOINT, "model"),
        version=environment.get(names.ENV_VERSION, ""),
        image=environment.get(names.ENV_IMAGE, ""),
        cores=cores_allowed(),
        memory_bytes=memory_allowed(),
        concurrency=None if concurrency is None else int(concurrency),
        workers=None if workers is None else int(workers),
        grace_seconds=30.0 if grace is None else grace,
        timeout_seconds=names.DEFAULT_TIMEOUT_SECONDS if timeout is None else timeout,
        run_directory=given.run_directory or Path(f"/tmp/headrace-{given.port}"),
        engine=engine,
        recording=recording,
        span_spool=Path(environment[ENV_SPAN_SPOOL]) if environment.get(ENV_SPAN_SPOOL) else None,
        termination_log=given.termination_log,
        failure_hold_seconds=given.failure_hold_seconds,
    )
