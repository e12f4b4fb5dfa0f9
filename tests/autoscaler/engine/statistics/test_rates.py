"""What the newest seconds prove of a rate."""

import pytest
from arrivals import minute, poisson

from headrace.autoscaler.engine.statistics import rates
from headrace.autoscaler.engine.statistics.rate_variability import RateVariability


def test_a_step_is_believed_in_its_first_second() -> None:
    buckets = minute(*[10.0] * 40, 10_000.0)

    least, mean, seconds = rates.proven_rate(buckets, RateVariability().dispersion(buckets))

    assert 9_500 < least < mean == 10_000
    assert seconds == 1


def test_noise_is_not_believed() -> None:
    for seed in range(20):
        buckets = minute(*poisson(100, 60, seed=seed))

        assert rates.proven_rate(buckets, RateVariability().dispersion(buckets))[0] < 105


def test_few_arrivals_are_averaged_for_longer() -> None:
    assert rates.mean_rate(minute(*[0.3] * 60))[2] == 60
    assert rates.mean_rate(minute(*[300.0] * 60))[2] == 20


def test_a_ceiling_is_above_the_load_and_falls_with_it_in_seconds() -> None:
    for seed in range(20):
        assert rates.possible_rate(minute(*poisson(100, 60, seed=seed)), 1.0) > 95
    assert rates.possible_rate(minute(*[100.0] * 20, *[10.0] * 4), 1.0) < 20


def test_nothing_arrived_leaves_some_load_possible() -> None:
    assert rates.possible_rate(minute(0.0), 1.0) == pytest.approx(rates.SIGMAS**2)
