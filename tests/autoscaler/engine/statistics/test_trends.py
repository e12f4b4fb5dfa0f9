"""Growth and falls that are proven, and steps, noise and waves that are none."""

import random

import pytest
from arrivals import minute, poisson, stretches

from headrace.autoscaler.engine.statistics import trends
from headrace.autoscaler.engine.statistics.rate_variability import RateVariability


def test_a_ramp_has_its_slope_and_loses_it_when_it_ends() -> None:
    ramp = [100.0 + 50.0 * second for second in range(30)]

    assert trends.growth(minute(*ramp), 1.0) == pytest.approx(40, rel=0.3)
    assert trends.growth(minute(*ramp, *[ramp[-1]] * 4), 1.0) == 0


def test_a_ramp_is_seen_in_its_fourth_second() -> None:
    ramp = [10.0 + 167.0 * second for second in range(4)]

    assert trends.growth(minute(*[10.0] * 40, *ramp[1:3]), 1.0) == 0
    assert trends.growth(minute(*[10.0] * 40, *ramp[1:]), 1.0) == pytest.approx(167, rel=0.1)


@pytest.mark.parametrize("seconds", range(1, 25))
def test_a_step_between_two_scrapes_has_no_trend(seconds: int) -> None:
    assert trends.growth(minute(*[10.0] * 40, 4_000.0, *[10_000.0] * seconds), 1.0) == 0


@pytest.mark.parametrize("seconds", range(1, 25))
def test_a_step_has_no_trend_at_any_time_after_it(seconds: int) -> None:
    assert trends.growth(minute(*[10.0] * 40, *[10_000.0] * seconds), 1.0) == 0


def test_a_noisy_step_that_falls_between_two_scrapes_is_no_growth() -> None:
    """50 to 165 requests a second (Azure Functions). Taken for growth, it once bought seven times the need."""
    step = [100.0, 165.0, 182.0]

    for seen in range(1, len(step) + 1):
        assert trends.growth(minute(*poisson(50, 40), *step[:seen]), 1.0) == 0


def test_slow_growth_is_seen_over_the_minute() -> None:
    buckets = minute(*[value + 0.4 * second for second, value in enumerate(poisson(50, 60))])

    assert trends.growth(buckets, 1.0) == pytest.approx(0.4, rel=0.8)


def _varying(slope: float, seconds: int, *, seed: int) -> list[float]:
    """1,000 a second, each second a tenth off, and growing."""
    dice = random.Random(seed)
    return [(1000.0 + slope * second) * dice.gauss(1.0, 0.1) for second in range(seconds)]


def test_growth_that_a_minute_cannot_show_is_seen_over_minutes() -> None:
    for seed in range(10):
        rates = _varying(2.0, 240, seed=seed)
        buckets, coarse = minute(*rates), stretches(*rates)
        spread = RateVariability().dispersion(buckets)

        assert trends.growth(buckets, spread, coarse) == pytest.approx(2.0, abs=1.0)
        assert trends.fall(coarse, spread) == 0


def test_a_fall_is_seen_over_minutes_and_never_in_a_step_or_a_wave() -> None:
    for seed in range(10):
        rates = _varying(-2.0, 240, seed=seed)
        spread = RateVariability().dispersion(minute(*rates))

        assert trends.fall(stretches(*rates), spread) == pytest.approx(2.0, abs=1.0)
        steady = _varying(0.0, 240, seed=seed)
        assert trends.fall(stretches(*steady), RateVariability().dispersion(minute(*steady))) == 0
    assert trends.fall(stretches(*poisson(1000, 200), *poisson(200, 60)), 1.0) == 0
    wave = [500.0 + 20.0 * abs(second % 40 - 20) for second in range(300)]
    assert trends.fall(stretches(*wave), RateVariability().dispersion(minute(*wave))) == 0
