"""Arrivals, second by second, as the engine keeps them, and loads that vary."""

import random
from collections.abc import Callable

from headrace.autoscaler.engine.statistics import buckets as kept
from headrace.autoscaler.engine.statistics.buckets import Bucket, Buckets


def second(end: int, arrived: float) -> Bucket:
    """A second in which so many requests arrived, and as many completed."""
    return Bucket(
        end=float(end),
        seconds=1.0,
        arrived=arrived,
        completed=arrived,
        executing_seconds=0,
        queued_seconds=0,
        executing=0,
    )


def minute(*arrivals: float) -> Buckets:
    """The last minute of these seconds."""
    found: Buckets = ()
    for end, arrived in enumerate(arrivals, start=1):
        found = kept.push(found, second(end, arrived))
    return found


def stretches(*arrivals: float) -> Buckets:
    """Their last five minutes in stretches."""
    found: Buckets = ()
    for end, arrived in enumerate(arrivals, start=1):
        found = kept.push_stretch(found, second(end, arrived))
    return found


def poisson(rate: float, seconds: int, *, seed: int = 1) -> list[float]:
    """Counts of a Poisson stream, nearly."""
    dice = random.Random(seed)
    return [max(0.0, dice.gauss(rate, rate**0.5)) for _ in range(seconds)]


def white(height: float, mean: float = 1000.0, seed: int = 1) -> Callable[[int], float]:
    """A rate whose seconds deviate by that share of its mean, and whose minutes do not."""
    dice = random.Random(seed)
    return lambda _: max(0.0, mean * (1.0 + height * dice.gauss(0.0, 1.0)))
