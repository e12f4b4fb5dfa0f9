"""A worker's connection, from the front's end."""

import asyncio
import socket
from pathlib import Path
from typing import Any

from headrace.runtimes.worker import frames
from headrace.runtimes.workers.worker_handle import WorkerConnection


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.kinds: list[int] = []
        self.gone = asyncio.Event()

    def received(self, connection: WorkerConnection, frame: frames.Frame) -> None:
        self.kinds.append(frame.kind)

    def disconnected(self, connection: WorkerConnection) -> None:
        self.gone.set()


def test_a_look_reads_frames_before_the_event_loop_comes_to_them(tmp_path: Path) -> None:
    async def play() -> None:
        listener = Listener()
        connection = WorkerConnection(listener)
        address = str(tmp_path / "front.sock")
        server = await asyncio.get_running_loop().create_unix_server(lambda: connection, address)
        with socket.socket(socket.AF_UNIX) as worker:
            worker.connect(address)
            for _ in range(5):  # the event loop accepts it
                await asyncio.sleep(0.01)
            connection.look()  # nothing has come
            assert listener.kinds == []

            first, second = frames.pack(frames.Kind.BEAT, {}), frames.pack(frames.Kind.SCORED, {"call": 1}, b"x" * 100)
            worker.sendall(first + second[:50])
            connection.look()
            worker.sendall(second[50:])
            connection.look()
            assert listener.kinds == [frames.Kind.BEAT, frames.Kind.SCORED]
        connection.look()  # the other end is closed: the event loop tells
        assert not listener.gone.is_set()
        await asyncio.wait_for(listener.gone.wait(), 10)
        server.close()

    asyncio.run(play())


def test_a_link_that_nobody_has_dialled_reads_nothing() -> None:
    listener: Any = Listener()
    WorkerConnection(listener).look()
    assert listener.kinds == []
