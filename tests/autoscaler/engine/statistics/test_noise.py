"""How high noise is."""

import random

from headrace.autoscaler.engine.statistics.buckets import Bucket
from headrace.autoscaler.engine.statistics.noise import height


def test_a_poisson_stream_is_no_noise() -> None:
    dice = random.Random(3)
    counts = [sum(dice.random() < 0.1 for _ in range(1000)) for _ in range(60)]
    buckets = [
        Bucket(
            end=float(second),
            seconds=1.0,
            arrived=float(count),
            completed=0.0,
            executing_seconds=0.0,
            queued_seconds=0.0,
            executing=0.0,
        )
        for second, count in enumerate(counts)
    ]

    found = height(buckets)

    assert found is not None
    assert found < 0.08
