"""Variability of a rate, told from a Poisson stream and from steps."""

import random

import pytest
from arrivals import minute, poisson, second

from headrace.autoscaler.engine.statistics import buckets as buckets_of
from headrace.autoscaler.engine.statistics.rate_variability import RateVariability, dispersion


def test_dispersion_sees_noise_and_not_a_step() -> None:
    assert dispersion(minute(*[100.0] * 30, *[10_000.0] * 30)) == 0
    assert RateVariability().dispersion(minute(*poisson(100, 60))) == pytest.approx(1.0, abs=1.0)
    uneven = [100.0 + 50.0 * (second % 2) for second in range(60)]
    assert RateVariability().dispersion(minute(*uneven)) > 5


@pytest.mark.parametrize(("relative", "least", "most"), [(0.1, 0.006, 0.014), (0.0, -0.002, 0.002)])
def test_a_rate_that_varies_is_told_from_noise_over_minutes(relative: float, least: float, most: float) -> None:
    for seed in range(5):
        dice = random.Random(seed)
        variability, buckets = RateVariability(), minute()
        for now in range(600):
            rate = (100 + now) * (1 + relative * dice.gauss(0, 1))
            buckets = buckets_of.push(buckets, second(now, max(0.0, dice.gauss(rate, max(0.0, rate) ** 0.5))))
            variability = variability.after(buckets)

        assert least < variability.excess / variability.weight < most
