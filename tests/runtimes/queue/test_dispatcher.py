"""The queue in front of the workers, with workers that do as the test says."""

import asyncio
import json
from typing import Any

import pytest

from headrace.runtimes.calls import ModelInput
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Dialect, Failure, Reason, worded
from headrace.runtimes.queue.batching import FIRST_LIMIT
from tests.runtimes.queue.queue_scene import OK, Scene, Worker, story

GONE = Failure(Reason.INTERNAL, "gone")


def test_a_lone_request_is_handed_on_at_once() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True))
        [task] = await scene.send()

        assert len(scene.workers[0].batches[0].calls) == 1
        await scene.finish(scene.workers[0])
        assert (await task).status == 200

    story(play)


def test_a_worker_has_its_next_call_before_the_answers_of_the_last_are_written() -> None:
    worker = Worker()
    running: list[int] = []

    class Caller:
        """Looks at the worker when its answer comes."""

        def done(self) -> bool:
            return False

        def set_result(self, outcome: Any, /) -> None:
            running.append(len(worker.batches))

    async def play() -> None:
        scene = Scene(worker)
        for _ in range(2):
            scene.dispatcher.admit(ModelInput("application/json", b"x"), Caller())
        for _ in range(4):  # the dispatcher acts when nothing more comes
            await asyncio.sleep(0)
        await scene.finish(worker)

    story(play)
    assert running == [1]


def test_what_a_lost_worker_had_not_begun_goes_first_to_another_one() -> None:
    async def play() -> None:
        stopped, other = Worker(merges=True), Worker(merges=True)
        scene = Scene(stopped, other)
        first = await scene.send(2, b"first")
        busy = await scene.send(1, b"busy")
        left = await scene.send(3, b"later")
        left[1].cancel()
        await asyncio.sleep(0)
        stopped.lanes = 0
        scene.dispatcher.returned(stopped.batches.pop(), GONE)
        assert (scene.load.executing, scene.load.queued) == (1, 4)

        await scene.finish(other)
        assert [call.work.body for call in other.batches[0].calls] == [b"first", b"first", b"later", b"later"]
        await scene.finish(other)
        assert {(await task).status for task in (*first, *busy, left[0], left[2])} == {200}
        assert (scene.load.executing, scene.load.queued, scene.load.completed) == (0, 0, 5)

    story(play)


def test_callers_who_left_a_lost_worker_are_not_queued_again() -> None:
    async def play() -> None:
        scene = Scene(Worker(), Worker())
        [stays] = await scene.send()
        [leaves] = await scene.send()
        leaves.cancel()
        await asyncio.sleep(0)
        [kept, gone] = [worker.batches.pop() for worker in scene.workers]
        scene.dispatcher.returned(gone, GONE)
        assert (scene.load.executing, scene.load.queued, scene.load.completed) == (1, 0, 1)

        scene.dispatcher.finished(kept, [OK], 0.001)
        assert (await stays).status == 200

    story(play)


def test_what_the_only_worker_had_not_begun_is_refused_for_another_pod() -> None:
    async def play() -> None:
        scene = Scene(Worker())
        [task] = await scene.send()
        scene.workers[0].lanes = 0
        scene.dispatcher.returned(scene.workers[0].batches.pop(), GONE)

        assert await task is GONE
        assert (scene.load.executing, scene.load.queued) == (0, 0)

    story(play)


def test_requests_that_come_together_are_merged_at_once() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True))
        await scene.send(5)

        assert [len(batch.calls) for batch in scene.workers[0].batches] == [5]

    story(play)


def test_what_waits_for_a_busy_worker_is_merged_when_it_is_free() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True))
        tasks = await scene.send() + await scene.send(9)
        await scene.finish(scene.workers[0])

        assert len(scene.workers[0].batches[0].calls) == 9
        await scene.finish(scene.workers[0])
        assert [task.status for task in await asyncio.gather(*tasks)] == [200] * 10

    story(play)


def test_a_model_that_does_not_merge_gets_one_request_a_call() -> None:
    async def play() -> None:
        scene = Scene(Worker(lanes=3))
        tasks = await scene.send(5)

        assert [len(batch.calls) for batch in scene.workers[0].batches] == [1, 1, 1]
        for _ in range(5):
            await scene.finish(scene.workers[0])
        await asyncio.gather(*tasks)

    story(play)


def test_no_more_execute_than_the_limit_allows_and_it_changes_at_once() -> None:
    async def play() -> None:
        scene = Scene(Worker(lanes=10), limit=2)
        await scene.send(6)
        assert (scene.load.executing, scene.load.queued) == (2, 4)

        scene.dispatcher.set_limit(5)
        assert (scene.load.executing, scene.load.queued) == (5, 1)

        scene.dispatcher.set_limit(1)
        assert scene.load.executing == 5

    story(play)


def test_calls_that_may_never_end_take_no_other_calls_place() -> None:
    async def play() -> None:
        silent, other = Worker(lanes=2), Worker(lanes=0)
        scene = Scene(silent, other, limit=2)
        await scene.send(2)
        waiting = await scene.send(1)
        silent.lanes, silent.relieved, other.lanes = 0, True, 1
        scene.dispatcher.pump()

        assert len(other.batches) == 1
        await scene.finish(other)
        assert (await waiting[0]).status == 200

    story(play)


def test_a_full_queue_refuses_at_once_with_a_time_to_come_back() -> None:
    async def play() -> None:
        scene = Scene(Worker(), limit=1)
        await scene.send()
        await scene.send(scene.dispatcher.admission.queue_limit)
        [late] = await scene.send()

        answer = worded(await late, Dialect.MLFLOW)
        assert answer.status == 429
        assert int(dict(answer.headers)[b"retry-after"]) >= 1
        assert dict(answer.headers)[b"x-headrace-unprocessed"] == b"1"
        assert json.loads(answer.body)["error_code"] == "RESOURCE_EXHAUSTED"
        assert scene.load.refused == 1

    story(play)


def test_a_client_that_leaves_the_queue_is_never_executed() -> None:
    async def play() -> None:
        scene = Scene(Worker())
        first, second, third = await scene.send(3)
        second.cancel()
        await asyncio.sleep(0)
        assert scene.load.queued == 1

        await scene.finish(scene.workers[0])
        await scene.finish(scene.workers[0])
        assert (await first).status == (await third).status == 200
        assert scene.load.completed == 2
        assert scene.load.queued == scene.load.executing == 0

    story(play)


def test_a_client_that_leaves_while_executing_takes_nobody_with_it() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True))
        lone, gone, stays = await scene.send() + await scene.send(2)
        await scene.finish(scene.workers[0])
        gone.cancel()
        await asyncio.sleep(0)
        await scene.finish(scene.workers[0])

        assert (await lone).status == (await stays).status == 200
        assert scene.load.executing == 0

    story(play)


def test_a_client_that_leaves_as_its_answer_comes_gives_up_no_place() -> None:
    async def play() -> None:
        scene = Scene(Worker())
        one, other = await scene.send(2)
        await scene.finish(scene.workers[0])
        one.cancel()
        await asyncio.sleep(0)
        await scene.finish(scene.workers[0])

        assert (await other).status == 200
        assert scene.load.queued == scene.load.executing == 0

    story(play)


def test_deadlines_are_answered_504_queued_or_executing() -> None:
    async def play() -> None:
        scene = Scene(Worker())
        tasks = await scene.send(2)
        scene.clock.now = 10.5
        scene.dispatcher.expire()

        assert [failure.reason for failure in await asyncio.gather(*tasks)] == [Reason.TIMED_OUT] * 2
        assert scene.load.queued == 0
        await scene.finish(scene.workers[0])
        assert scene.load.executing == 0

    story(play)


def test_a_lost_batch_fails_its_own_requests_only() -> None:
    async def play() -> None:
        scene = Scene(Worker(), Worker())
        one, other = await scene.send(2)
        batch = scene.workers[0].batches.pop()
        scene.dispatcher.lost(batch, GONE)
        await scene.finish(scene.workers[1])

        assert [await one, await other] == [GONE, OK]

    story(play)


def test_each_request_of_a_batch_gets_its_own_answer() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True))
        first, second, third = await scene.send() + await scene.send(2)
        await scene.finish(scene.workers[0])
        await scene.finish(scene.workers[0], GONE, Answer(200, b"[3]"))

        assert (await first).status == 200
        assert await second == GONE
        assert (await third).body == b"[3]"

    story(play)


def test_what_comes_while_others_are_read_is_merged_with_them() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True), Worker(merges=True))
        answers = [asyncio.get_running_loop().create_future() for _ in range(3)]
        for answer in answers:  # one in each turn of the event loop
            scene.dispatcher.admit(ModelInput("application/json", b"x"), answer)
            await asyncio.sleep(0)
        assert scene.load.executing == 0

        await asyncio.sleep(0)
        assert [len(batch.calls) for batch in scene.workers[0].batches] == [3]

    story(play)


def test_a_full_batch_starts_although_more_are_read() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True))
        loop = asyncio.get_running_loop()
        for _ in range(FIRST_LIMIT + 1):
            scene.dispatcher.admit(ModelInput("application/json", b"x"), loop.create_future())
            await asyncio.sleep(0)

        assert [len(batch.calls) for batch in scene.workers[0].batches] == [FIRST_LIMIT]

    story(play)


def test_what_is_worth_a_call_starts_although_more_are_read() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True), Worker(merges=True))
        scene.learn_that_1000_bytes_cost_a_call()
        loop = asyncio.get_running_loop()
        for _ in range(4):
            scene.dispatcher.admit(ModelInput("application/json", b"x" * 400), loop.create_future())
            await asyncio.sleep(0)

        assert [sum(len(batch.calls) for batch in worker.batches) for worker in scene.workers] == [2, 1]
        assert scene.load.queued == 1

    story(play)


def test_a_request_that_waits_starts_on_a_free_worker_whoever_else_was_just_answered() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True), Worker(merges=True))
        for count in range(20):
            scene.dispatcher.batch_size.observe(1, (10, 50)[count % 2], 2.0)  # all overhead
        await scene.send(10)
        await scene.finish(scene.workers[0])
        await scene.send(1)
        await scene.send(1)
        assert [len(worker.batches) for worker in scene.workers] == [1, 1]

    story(play)


def test_refusals_do_not_keep_what_waits_from_starting() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True))
        await scene.send()
        await scene.send(3)
        scene.dispatcher.finished(scene.workers[0].batches.pop(), [OK], 0.001)
        for _ in range(3):
            scene.dispatcher.admission.refuse()
            await asyncio.sleep(0)

        assert [len(batch.calls) for batch in scene.workers[0].batches] == [3]

    story(play)


def test_the_time_that_the_front_took_to_hear_of_a_call_is_none_of_the_calls() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True))
        for count in range(20):
            size = (500, 2000)[count % 2]
            tasks = await scene.send(body=b"x" * size)
            scene.clock.now += 0.5  # the front reads other bodies meanwhile
            batch = scene.workers[0].batches.pop()
            scene.dispatcher.finished(batch, [OK], 0.001 + 1e-6 * size)
            await asyncio.gather(*tasks)

        learned = scene.dispatcher.batch_size
        assert learned.overhead_seconds == pytest.approx(0.001)
        assert learned.seconds_per_byte == pytest.approx(1e-6)

    story(play)


def test_a_body_that_is_worth_a_call_starts_one_before_others_are_read() -> None:
    async def play() -> None:
        scene = Scene(Worker(merges=True))
        scene.learn_that_1000_bytes_cost_a_call()
        answers = [asyncio.get_running_loop().create_future() for _ in range(2)]
        scene.dispatcher.admit(ModelInput("application/json", b"x" * 500), answers[0])
        assert scene.workers[0].batches == []
        scene.dispatcher.admit(ModelInput("application/json", b"x" * 5000), answers[1])
        assert [len(batch.calls) for batch in scene.workers[0].batches] == [2]

    story(play)


def test_counters_grow_while_requests_wait_and_run() -> None:
    async def play() -> None:
        scene = Scene(Worker())
        await scene.send(3)
        scene.clock.now = 2.0
        scene.load.settle()

        assert (scene.load.executing_seconds, scene.load.queued_seconds) == (2.0, 4.0)
        assert (scene.load.arrived, scene.load.completed) == (3, 0)

    story(play)
