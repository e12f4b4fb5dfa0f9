"""The real activator in a process of its own: `python -m bench.path.activator`.

Prints its port. Each line that it reads is what it knows of the cluster from then on: `<endpoint>/<version> PORT LIMIT`
for a ready pod on loopback, or `none`; it repeats the line when it has acted on it.
"""

import asyncio
import sys
from collections.abc import Mapping

from headrace.routing.activator import service
from headrace.routing.activator.activator import Activator
from headrace.routing.activator.admission import VersionView
from headrace.routing.snapshot import PodAddress


class Told:
    """A cluster as it was told."""

    def __init__(self) -> None:
        self.ready: dict[str, dict[PodAddress, int]] = {}

    def pods(self, name: str) -> Mapping[PodAddress, int]:
        """Ready pods, each with what it admits at once."""
        return self.ready.get(name, {})

    def view(self, name: str) -> VersionView:
        """Starts in ten seconds."""
        return VersionView(name=name, start_seconds=10.0)


async def main() -> None:
    """Until standard input ends."""
    told = Told()
    activator = Activator(told)
    server, port = await service.serve(activator, "127.0.0.1:0")
    sweep = asyncio.create_task(activator.sweep())
    print(port, flush=True)
    while line := (await asyncio.to_thread(sys.stdin.readline)).split():
        told.ready = {} if line == ["none"] else {line[0]: {PodAddress("127.0.0.1", int(line[1])): int(line[2])}}
        activator.pods_changed()
        print(*line, flush=True)
    sweep.cancel()
    await server.stop(grace=0)


if __name__ == "__main__":
    asyncio.run(main())
