"""The law of service time against concurrency, from points like those that traffic makes."""

import math
import random
from collections.abc import Callable, Iterable

import pytest

from headrace.autoscaler.engine.statistics import latency_curve
from headrace.autoscaler.engine.statistics.latency_curve import Level


def _seen(
    law: Callable[[float], float], concurrencies: Iterable[float], *, error: float = 0.03, each: int = 4
) -> tuple[Level, ...]:
    dice = random.Random(1)
    found: tuple[Level, ...] = ()
    for executing in concurrencies:
        for _ in range(each):
            found = latency_curve.add(found, executing, law(executing) * dice.gauss(1.0, error), served=500.0)
    return found


def _roofline(n: float) -> float:
    return max(0.22 + 0.013 * n, n / 24.0)  # bends at 7.7


def test_a_line_is_best_where_kleinrock_puts_it() -> None:
    seen = _seen(lambda n: 0.2 + 0.2 * n / 16, range(4, 24, 2), error=0.01)

    assert latency_curve.optimum(seen, 16) == pytest.approx(16, rel=0.15)


def test_a_bend_is_found_from_points_far_on_both_sides() -> None:
    """Full pods after a model changed, then half empty ones when more had come: nothing was seen in between."""
    seen = _seen(_roofline, (3.5, 4.0, 4.5, 15.8))

    assert latency_curve.optimum(seen, 16) == pytest.approx(7.7, rel=0.15)


def test_no_rise_is_claimed_that_is_not_proven() -> None:
    assert latency_curve.optimum(_seen(lambda _: 0.2, (4, 5, 6, 7, 8), each=2), 8) == math.inf


def test_one_level_tells_nothing() -> None:
    assert latency_curve.optimum(_seen(_roofline, (16.0,), each=40), 16) is None
    assert latency_curve.optimum((), 16) is None


def test_the_law_is_not_asked_below_what_was_seen() -> None:
    """All points saturated: the bend is somewhere below, and one step down is to the lowest of them."""
    assert latency_curve.optimum(_seen(lambda n: n / 24, (11.0, 13.0, 16.0)), 16) == pytest.approx(11.0, rel=0.1)


def test_a_level_follows_its_newest_points() -> None:
    seen = latency_curve.add(_seen(lambda _: 0.2, (4.0,), error=0.0, each=100), 4.0, 0.4, served=500.0)

    (level,) = seen
    assert level.points == pytest.approx(20.0, rel=0.05)
    assert level.seconds / level.served == pytest.approx(0.21, rel=0.01)


def test_what_was_seen_bounds_what_is_expected_elsewhere() -> None:
    seen = _seen(lambda n: 0.1 * n, (2.0, 4.0), error=0.0)

    assert latency_curve.expected((), 3.0) is None
    assert latency_curve.expected(seen, 3.0) == pytest.approx((0.3, 0.3))
    assert latency_curve.expected(seen, 8.0) == pytest.approx((0.4, 0.8))
    assert latency_curve.expected(seen, 1.0) == pytest.approx((0.1, 0.2))


def test_levels_are_few_however_idle_the_pods() -> None:
    seen = _seen(lambda _: 0.2, (0.001 * 1.3**power for power in range(60)), each=1)

    assert len(seen) <= math.log(1024 / 0.2) / math.log(1.1) + 1
    assert [level.index for level in seen] == sorted(level.index for level in seen)
