"""A dispatcher on a fake clock, and workers that keep what they are given."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from headrace.runtimes.calls import Batch, ModelInput
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.queue.dispatcher import Dispatcher
from headrace.runtimes.queue.request_metrics import RequestMetrics

OK = Answer(200, b"{}")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Worker:
    """Keeps what it is given."""

    def __init__(self, *, merges: bool = False, lanes: int = 1) -> None:
        self.merges = merges
        self.lanes = lanes
        self.batches: list[Batch] = []
        self.relieved = False

    def given_up(self) -> int:
        return sum(len(batch.calls) for batch in self.batches) if self.relieved else 0

    def width(self) -> int:
        return self.lanes

    def free(self) -> int:
        return self.lanes - len(self.batches)

    def room(self) -> float:
        return float(self.lanes)

    def cancel(self, batch: Batch) -> None:
        self.cancelled = batch

    def take(self, batch: Batch) -> None:
        self.batches.append(batch)

    def crowded(self, now: float) -> bool:
        return False

    def relaxed(self) -> None:
        pass


class Scene:
    """A dispatcher, its clock and its workers."""

    def __init__(self, *workers: Worker, limit: int = 100) -> None:
        self.clock = Clock()
        self.load = RequestMetrics(self.clock)
        self.dispatcher = Dispatcher(self.load, limit=limit, timeout_seconds=10, clock=self.clock)
        self.workers = workers
        self.dispatcher.workers = workers

    def learn_that_1000_bytes_cost_a_call(self) -> None:
        for size in (100, 5000) * 10:
            self.dispatcher.batch_size.observe(1, size, 0.001 + 1e-6 * size)

    async def send(self, count: int = 1, body: bytes = b"x") -> list["asyncio.Task[Any]"]:
        tasks = [asyncio.create_task(self.dispatcher.infer(ModelInput("application/json", body))) for _ in range(count)]
        for _ in range(4):  # the tasks start, and the dispatcher acts when no more come
            await asyncio.sleep(0)
        return tasks

    async def finish(self, worker: Worker, *outcomes: Any) -> Batch:
        batch = worker.batches.pop(0)
        self.dispatcher.finished(batch, outcomes or [OK] * len(batch.calls), 0.001)
        for _ in range(3):  # the dispatcher acts when nothing more comes
            await asyncio.sleep(0)
        return batch


def story(play: Callable[[], Awaitable[Any]]) -> None:
    async def run() -> None:
        await play()

    asyncio.run(run())
