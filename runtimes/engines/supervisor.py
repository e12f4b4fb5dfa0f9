"""Starts an engine, watches it, replaces it when it ends, hangs or says that it is broken, and stops it.

An engine outlives the front's process: when the parent replaces that, the new one adopts the engine with its loaded
weights. It is recognised by a variable in its environment.
"""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from headrace import runtimes
from headrace.contract.runtime import EnginePlan, filled
from headrace.runtimes.engines.client import Client, EngineLost
from headrace.runtimes.pod import processes
from headrace.runtimes.pod.log_outlet import Outlet
from headrace.runtimes.pod.model_output import Pipe
from headrace.runtimes.pod.restarts import BackOff
from headrace.runtimes.pod.settings import Settings
from headrace.runtimes.pod.watched_process import WatchedProcess, ending

log = logging.getLogger("headrace.engine")

LOADING_PERIOD_SECONDS = 0.5
READY_PERIOD_SECONDS = 2.0
"""How often the engine's health is asked."""
HEALTH_SECONDS = 5.0
"""How long it may take to answer that."""
BROKEN_ANSWERS = 3
"""Answers of 500 or more, one after the other, that make a ready engine broken: vLLM says so when its core has died."""
SILENT_SECONDS = 30.0
"""A ready engine that answers no health question for so long and uses no CPU is hung."""
_HOME_VARIABLE = "HEADRACE_ENGINE_HOME"
_NAMED_ERROR = re.compile(r"\b[A-Za-z_.]+(?:Error|Exception): .+")
_TELLING = re.compile(r"\b(?:error:|fatal|failed)", re.IGNORECASE)
_SECONDHAND = re.compile(r"See root cause above|failed to load (?:all models|'[^']*'\W*$)|initialize NVML")
"""No cause: vLLM's words of the process that did not fail, Triton's after it has said of a version why that failed, and
of a machine without GPU."""


class Supervisor:
    """One engine, for as long as the pod lives."""

    def __init__(
        self,
        settings: Settings,
        plan: EnginePlan,
        *,
        pipes: Sequence[tuple[Pipe, Pipe]],
        on_exit: Callable[[], None],
        on_failed: Callable[[str], None],
        on_ready: Callable[[], None],
        outlet: Outlet | None = None,
    ) -> None:
        self._settings, self._plan = settings, plan
        self._on_exit, self._on_failed, self._on_ready = on_exit, on_failed, on_ready
        self._stdout, self._stderr = pipes[0]
        self._outlet = outlet
        self._home = settings.run_directory / "engine"
        self._process: WatchedProcess | None = None
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._was_ready = False
        self._ports: dict[str, int] = {}
        self.ready = False
        """Whether the engine says that it can serve."""
        self.client = Client(0)
        """Connections to the engine that runs now."""

    async def start(self) -> None:
        """Starts the engine, or adopts the one of a former front, and looks after it from now on."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for pipe in (self._stdout, self._stderr):
            pipe.listen(self._outlet)
        self._task = asyncio.create_task(self._look_after())

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL to all of its processes when it has not ended after two seconds."""
        self._stopping = True
        self.ready = False
        if self._process is not None and not self._ended.is_set():
            self._process.signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), 2.0)
        self.kill()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, 2.0)

    @property
    def pid(self) -> int:
        """The engine's process; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    def metrics_address(self) -> tuple[int, str] | None:
        """Port and path of the engine's own metrics."""
        if not self._plan.metrics or not self.ready:
            return None
        port, _, path = filled(self._plan.metrics, self._placeholders()).partition("/")
        return int(port), "/" + path

    async def _look_after(self) -> None:
        back_off = BackOff()
        while not self._stopping:
            try:
                if not self._adopt():
                    self._launch()
            except (OSError, ValueError) as error:
                self._on_failed(f"the engine cannot be started: {error}")
                return
            started = time.monotonic()
            await self._attend()
            lived = time.monotonic() - started
            code = self._clear()
            if self._stopping:
                return
            self._on_exit()
            await asyncio.sleep(0.1)  # what it printed last is still to be read
            reason = f"{ending(code)}; it said last: {self._last_words()}"
            log.warning("the engine ended after %.1f s: %s", lived, reason)
            if not self._was_ready:
                self._on_failed(f"the engine {self._plan.name} ended while it started: {reason}")
                return
            await asyncio.sleep(back_off.delay(lived))

    async def _attend(self) -> None:
        """Watches the running engine until it has ended, which it also sees to when the engine hangs or is broken."""
        heard = time.monotonic()
        broken, seen = 0, processes.sample(self.pid)
        while not self._ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._ended.wait(), READY_PERIOD_SECONDS if self.ready else LOADING_PERIOD_SECONDS
                )
                return
            status = await self._health()
            now = time.monotonic()
            if self._stopping:
                continue
            if status == 200:
                heard, broken, seen = now, 0, processes.sample(self.pid)
                if not self.ready:
                    log.info("the engine %s (pid %d) is ready", self._plan.name, self.pid)
                    self.ready = self._was_ready = True
                    self._on_ready()
                continue
            if not self.ready:
                continue
            broken = broken + 1 if status >= 500 else 0
            seeing = processes.sample(self.pid)
            still = seen is not None and seeing is not None and processes.hung(heard, seen, seeing, ready=True)
            if broken >= BROKEN_ANSWERS or (still and now - heard >= SILENT_SECONDS):
                said = f"answers {status} to {self._plan.health}" if broken else "answers nothing and uses no CPU"
                log.error("the engine %s (pid %d) %s: it is replaced", self._plan.name, self.pid, said)
                self.kill()
                await self._ended.wait()

    async def _health(self) -> int:
        """The status of its health; 0 when it does not answer."""
        try:
            response = await self.client.request("GET", self._plan.health, seconds=HEALTH_SECONDS)
            try:
                async with asyncio.timeout(HEALTH_SECONDS):
                    await response.body()
            finally:
                response.close()
        except (EngineLost, TimeoutError):
            return 0
        return response.status

    def _launch(self) -> None:
        self._ports = {"port": _free_port(), "other_port": _free_port()}
        values = self._placeholders()
        for path, text in self._plan.files.items():
            target = self._inside(filled(path, values))
            target.write_text(filled(text, values))
        for path, leads_to in self._plan.links.items():
            target = self._inside(filled(path, values))
            target.unlink(missing_ok=True)
            target.symlink_to(filled(leads_to, values))
        added = {name: filled(value, values) for name, value in self._plan.environment.items()}
        environment = processes.environment(
            {**os.environ, **added, _HOME_VARIABLE: str(self._home)},
            threads=max(1, int(self._settings.cores)),
            home=self._home,
        )
        popen = subprocess.Popen(
            [filled(word, values) for word in self._plan.command],
            env=environment,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            stdout=self._stdout.write,
            stderr=self._stderr.write,
            start_new_session=True,
        )
        self._watch(popen.pid, popen)
        state = {"pid": self.pid, **self._ports}
        self._state_file.write_text(json.dumps(state))
        log.info("started the engine %s (pid %d) on port %d", self._plan.name, self.pid, self._ports["port"])

    def _adopt(self) -> bool:
        """Takes over an engine that a former front of this pod left running."""
        try:
            state = json.loads(self._state_file.read_text())
            variables = Path(f"/proc/{state['pid']}/environ").read_bytes().split(b"\0")
        except (OSError, ValueError, KeyError):
            return False
        if f"{_HOME_VARIABLE}={self._home}".encode() not in variables:
            return False
        self._ports = {"port": int(state["port"]), "other_port": int(state["other_port"])}
        self._watch(int(state["pid"]))
        self._was_ready = True
        log.info("adopted the engine (pid %d) of the former front", self.pid)
        return True

    def _watch(self, pid: int, popen: "subprocess.Popen[bytes] | None" = None) -> None:
        self._ended = asyncio.Event()
        self._process = WatchedProcess(pid, self._ended.set, popen)
        self.client.close()
        self.client = Client(self._ports["port"])

    def _clear(self) -> int | None:
        self.kill()  # whatever it left running
        code = self._process.close() if self._process is not None else None
        self._process = None
        self.ready = False
        self.client.close()
        self._state_file.unlink(missing_ok=True)
        return code

    def kill(self) -> None:
        """Ends the engine and all of its processes at once."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # it is the leader of its own session

    def _inside(self, path: str) -> Path:
        target = self._home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _placeholders(self) -> Mapping[str, str]:
        settings = self._settings
        environment = settings.python.parent.parent
        packages = sorted(environment.glob("lib/python3*/site-packages"))
        return {
            "model": str(settings.model),
            "python": str(settings.python),
            "environment": str(environment),
            "site": str(packages[-1]) if packages else str(environment),
            "home": str(self._home),
            "code": str(Path(runtimes.__file__).parent),
            "endpoint": settings.endpoint,
            "cores": str(max(1, int(settings.cores))),
            "grace": str(max(1, int(settings.grace_seconds))),
            **{name: str(port) for name, port in self._ports.items()},
        }

    @property
    def _state_file(self) -> Path:
        return self._home / "engine.json"

    def _last_words(self) -> str:
        """The last exception that it named, else the last line that tells of an error, else the last line of all."""
        lines = [line.strip(" |") for line in (*self._stdout.last, *self._stderr.last) if not _SECONDHAND.search(line)]
        named = [found[0] for line in lines if (found := _NAMED_ERROR.search(line))]
        telling = [line for line in lines if _TELLING.search(line)]
        return (named or telling or lines or ["nothing"])[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
