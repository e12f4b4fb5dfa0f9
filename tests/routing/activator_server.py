"""ActivatorServer: the real activator on a loop of its own thread, its cluster in a test's hand."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from patience import eventually

from headrace.routing.activator import service
from headrace.routing.activator.activator import Activator
from headrace.routing.activator.admission import Bounds, VersionView
from headrace.routing.snapshot import PodAddress


class KnownVersions:
    """A cluster of which everything is said by a test."""

    def __init__(self) -> None:
        self.of: dict[str, dict[PodAddress, int]] = {}
        self.start_seconds = 3.0
        self.failure = ""

    def pods(self, name: str) -> Mapping[PodAddress, int]:
        return self.of.get(name, {})

    def view(self, name: str) -> VersionView:
        return VersionView(name=name, start_seconds=self.start_seconds, failure=self.failure)


class ActivatorServer:
    def __init__(self, versions: KnownVersions, bounds: Bounds | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.activator: Activator
        self.news = 0
        self._server: Any = None
        self.address = PodAddress("127.0.0.1", self._call(self._start(versions, bounds)))

    async def _start(self, versions: KnownVersions, bounds: Bounds | None) -> int:
        self.activator = Activator(versions, bounds=bounds, news=self._count)
        self._sweep = asyncio.create_task(self.activator.sweep())
        self._server, port = await service.serve(self.activator, "127.0.0.1:0")
        return port

    def _count(self) -> None:
        self.news += 1

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def pods_changed(self) -> None:
        self._loop.call_soon_threadsafe(self.activator.pods_changed)

    @property
    def held(self) -> int:
        return sum(count for count, _ in self.activator.counts().values())

    def wait_until_held(self, count: int) -> None:
        eventually(lambda: self.held == count, f"{count} requests are held", seconds=10)

    def stop(self, *, warned: bool) -> None:
        """Ends it: as a pod that is told to, or at once as one that is killed."""
        if self._server is None:
            return

        async def work() -> None:
            if warned:
                self.activator.leave()
            self._sweep.cancel()
            await self._server.stop(grace=1 if warned else 0)

        self._call(work())
        self._server = None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
