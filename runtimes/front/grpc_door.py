"""The door to the gRPC listener, whose library (60 ms of CPU) is imported when the door opens, if it does."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.runtimes.front.rpc import Rpc, Served


class GrpcDoor:
    """The listener, or that there is none."""

    def __init__(self, served: "Served") -> None:
        self._served = served
        self._rpc: Rpc | None = None

    async def start(self) -> None:
        """Listens, unless the settings leave gRPC out; RuntimeError when the port is taken."""
        if not self._served.settings.grpc_port:
            return
        from headrace.runtimes.front.rpc import Rpc  # noqa: PLC0415 -- see above

        self._rpc = Rpc(self._served)
        await self._rpc.start()

    def leave(self, seconds: float) -> None:
        """Accepts nothing new, and gives what runs so long to finish."""
        if self._rpc is not None:
            self._rpc.leave(seconds)

    async def left(self) -> None:
        """Returns when nothing runs any more."""
        if self._rpc is not None:
            await self._rpc.left()
