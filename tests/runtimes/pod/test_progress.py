"""What a pod says while its model loads."""

import logging

import pytest

from headrace.runtimes.pod.progress import Progress


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_model_that_loads_for_long_says_so_every_ten_seconds_until_it_is_ready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    progress = Progress(clock)
    for _ in range(25):
        clock.now += 1
        progress.look(ready=False)
    assert progress.sentence == "The model is loading, for 25 s so far."
    clock.now += 1
    for _ in range(3):
        progress.look(ready=True)

    assert caplog.messages == [
        "the model is loading, for 10 s so far",
        "the model is loading, for 20 s so far",
        "the model is ready after 26 s",
    ]


def test_after_its_last_worker_was_lost_the_time_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    progress = Progress(clock)
    progress.look(ready=True)
    clock.now += 1000
    progress.look(ready=False)
    clock.now += 10
    progress.look(ready=False)

    assert caplog.messages == ["the model is ready after 0 s", "the model is loading, for 10 s so far"]
    assert progress.sentence == "The model is loading, for 10 s so far."
