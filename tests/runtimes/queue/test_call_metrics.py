"""What a pod's workers can do, as the front tells it."""

from types import SimpleNamespace
from typing import Any

from headrace.runtimes.calls import Batch, Call, ModelInput
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.queue.dispatcher import Dispatcher
from headrace.runtimes.queue.request_metrics import RequestMetrics


def test_what_the_workers_can_do_is_told_once_calls_were_seen() -> None:
    load = RequestMetrics(lambda: 0.0)
    dispatcher = Dispatcher(load, limit=100, timeout_seconds=10, clock=lambda: 0.0)
    worker: Any = SimpleNamespace(merges=True, room=lambda: 1.0, width=lambda: 1)
    dispatcher.workers = [worker]
    assert dispatcher.calls() == (1.0, None)

    answered: Any = SimpleNamespace(done=lambda: True)
    call = Call(ModelInput("application/json", b"x"), 1, 0.0, 10.0, answered)
    dispatcher.finished(Batch([call], worker), [Answer(200, b"")], 0.001)

    found = dispatcher.calls()
    assert found.curve is not None
    assert found.curve.mean_seconds == 0.001
    assert load.call_seconds == 0.001
