"""The trial of a model: front and worker, as a pod has them, on loopback; what they prove, and what a call costs."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from headrace.cli.candidate import Candidate, ModelFault, example_path
from headrace.components.endpoint.model_image import image_name
from headrace.contract import log_line, names
from headrace.contract.codec import decode
from headrace.contract.declaration import Style
from headrace.contract.errors import TemporaryError
from headrace.contract.evidence import INFERENCE_REQUEST_PATH, PROOF_PATH, Proof

LOOPBACK: Final = "127.0.0.1"
CALLS: Final = 20
CALLS_SECONDS: Final = 1.0
"""A call is measured so often at most, and for so long. A model that is slower is not called again: it may be dear."""
_PATIENCE: Final = 5
"""Times as long as a pod may take to start: this machine may have other work."""
_REQUEST_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.2
"""Between two looks whether a server has ended."""
_STOP_SECONDS: Final = 15.0
_LAST_LINES: Final = 5


@dataclass(frozen=True, kw_only=True)
class CallCost:
    """What one request costs, through the whole pod."""

    milliseconds: float
    """Median."""
    cpu_milliseconds: float
    """Mean, of all processes."""
    memory_mib: float
    """What the pod's processes hold afterwards."""
    calls: int
    """How many were measured."""


class Trial:
    """A running front; it ends with the block."""

    def __init__(self, candidate: Candidate, model: Path, python: Path, *, port: int = 0) -> None:
        """`port` 0 takes a free one."""
        self._candidate = candidate
        self._model, self._python = model, python
        self._port, self._admin_port = _ports(port)
        self._folder = Path(tempfile.mkdtemp(prefix="hr-", dir="/tmp"))  # a socket's path has at most 108 bytes
        self._log = self._folder / "log"
        self._reason = self._folder / "reason"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def endpoint(self) -> str:
        """The model's name there."""
        return image_name(self._candidate.source.name)

    def __enter__(self) -> "Trial":
        self._reason.touch()
        run = self._folder / "run"
        command = [sys.executable, "-m", "headrace.runtimes", "--model", str(self._model)]
        command += ["--python", str(self._python), "--host", LOOPBACK, "--port", str(self._port)]
        command += ["--admin-port", str(self._admin_port), "--run-directory", str(run)]
        command += ["--failure-hold-seconds", "0", "--termination-log", str(self._reason)]
        settings = {
            names.ENV_ENDPOINT: self.endpoint,
            names.ENV_VERSION: self._candidate.source.version_name,
            names.ENV_WORKERS: "1",
            names.ENV_GRACE_SECONDS: "1",
        }
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,  # Ctrl-C is ours to pass on
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, pids = self._process, self._processes()
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait_until_ready(self) -> None:
        """Returns when the model can be asked. Raises ModelFault where it cannot be served."""
        assert self._process is not None
        limit = _PATIENCE * self._candidate.start_seconds
        end = time.monotonic() + limit
        while self._process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._ask("GET", "/ping?wait=1")[0] == http.HTTPStatus.OK:
                    return
            if time.monotonic() > end:
                raise ModelFault(f"The model did not load within {limit:.0f} s; its pod would have ended long before")
            time.sleep(0.05)
        raise ModelFault(self._why_it_ended())

    def proof(self) -> Proof:
        """What its pod would tell."""
        status, text = self._ask("GET", PROOF_PATH, port=self._admin_port)
        if status != http.HTTPStatus.OK:
            raise TemporaryError(f"The server told no proof (status {status}); run it again")
        return decode(Proof, json.loads(text), Style.KUBERNETES)

    def inference_request(self) -> str | None:
        """The Open Inference request that was made of the example."""
        status, text = self._ask("GET", INFERENCE_REQUEST_PATH, port=self._admin_port)
        return text.decode() if status == http.HTTPStatus.OK else None

    def cost(self, directory: Path, proof: Proof) -> CallCost | None:
        """What it costs to answer the example in `directory`; None where there is none."""
        path = example_path(directory)
        if path is None or proof.call_milliseconds is None or proof.call_milliseconds > 1000 * CALLS_SECONDS:
            return None  # what a slow call costs, its proof tells
        body, taken, pids = path.read_bytes(), list[float](), self._processes()
        before, begun = sum(map(_cpu_seconds, pids)), time.monotonic()
        while len(taken) < CALLS and (not taken or time.monotonic() - begun + taken[-1] < CALLS_SECONDS):
            asked = time.monotonic()
            status, text = self._ask("POST", "/invocations", body=body)
            taken.append(time.monotonic() - asked)
            if status != http.HTTPStatus.OK:
                said = text[:300].decode(errors="replace")
                raise ModelFault(f"The model answered its example once, and then with status {status}: {said}")
        used = sum(map(_cpu_seconds, pids)) - before
        return CallCost(
            milliseconds=round(1000 * statistics.median(taken), 3),
            cpu_milliseconds=round(1000 * used / len(taken), 3),
            memory_mib=round(sum(map(_resident_mib, self._processes())), 1),
            calls=len(taken),
        )

    def serve(self) -> None:
        """Returns when the server has ended, or Ctrl-C was pressed."""
        assert self._process is not None
        with contextlib.suppress(KeyboardInterrupt):
            while self._process.poll() is None:  # not wait(): a signal in the moment before it would interrupt nothing
                time.sleep(_LOOK_SECONDS)

    def _ask(self, method: str, path: str, *, port: int | None = None, body: bytes | None = None) -> tuple[int, bytes]:
        target = self._port if port is None else port
        with contextlib.closing(http.client.HTTPConnection(LOOPBACK, target, timeout=_REQUEST_SECONDS)) as connection:
            connection.request(method, path, body=body, headers={"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _why_it_ended(self) -> str:
        reason = self._reason.read_text("utf-8").strip()
        if reason:
            if self._candidate.given is not None:
                reason = reason.replace("fails on its own input example", "fails on the request of --input")
            return f"{reason[:1].upper()}{reason[1:]}"
        told = self._log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        return f"The server ended without a reason; its log ends with: {' | '.join(map(_message, told))}"

    def _processes(self) -> list[int]:
        """The front and its workers."""
        return [] if self._process is None else [*_family(self._process.pid)]


def _ports(wanted: int) -> tuple[int, int]:
    """Free ports for callers and for us."""
    with socket.socket() as first, socket.socket() as second:
        for listening, port in ((first, wanted), (second, 0)):
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((LOOPBACK, port))
            except OSError as error:
                raise TemporaryError(f"--port = {port} cannot be used ({error.strerror}); choose another") from error
        return first.getsockname()[1], second.getsockname()[1]


def _family(pid: int) -> Iterator[int]:
    """A process and those that it started."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process; the kernel's number for its clock is clock_getcpuclockid(3)'s."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _resident_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _message(line: str) -> str:
    """Of a line of the pod's log."""
    try:
        document: Any = json.loads(line)
        return str(document[log_line.BODY])
    except (ValueError, KeyError, TypeError):
        return line
