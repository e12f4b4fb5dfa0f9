"""Bursts, trends and maxima of the last minute."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.autoscaler.engine import windows
from headrace.autoscaler.engine.model import Bucket, Memory, Peak


def _second(end: int, arrived: float) -> Bucket:
    return Bucket(
        end=float(end),
        seconds=1.0,
        arrived=arrived,
        completed=arrived,
        executing_seconds=0,
        queued_seconds=0,
        executing=0,
    )


def _buckets(*arrivals: float) -> tuple[Bucket, ...]:
    found: tuple[Bucket, ...] = ()
    for second, arrived in enumerate(arrivals, start=1):
        found = windows.push(found, _second(second, arrived))
    return found


def _coarse(*arrivals: float) -> tuple[Bucket, ...]:
    found: tuple[Bucket, ...] = ()
    for second, arrived in enumerate(arrivals, start=1):
        found = windows.push_coarse(found, _second(second, arrived))
    return found


def _noise(rate: float, seconds: int, *, seed: int = 1) -> list[float]:
    dice = random.Random(seed)
    return [max(0.0, dice.gauss(rate, rate**0.5)) for _ in range(seconds)]


def _spread(buckets: tuple[Bucket, ...]) -> float:
    found = windows.dispersion(buckets)
    assert found is not None
    return max(1.0, found)


def test_a_minute_is_kept() -> None:
    assert len(_buckets(*[1.0] * 200)) == 60


def test_a_step_is_believed_in_its_first_second() -> None:
    buckets = _buckets(*[10.0] * 40, 10_000.0)

    least, mean, seconds = windows.proven_rate(buckets, _spread(buckets))

    assert 9_500 < least < mean == 10_000
    assert seconds == 1


def test_noise_is_not_believed() -> None:
    for seed in range(20):
        buckets = _buckets(*_noise(100, 60, seed=seed))

        assert windows.proven_rate(buckets, _spread(buckets))[0] < 105


def test_dispersion_sees_noise_and_not_a_step() -> None:
    assert windows.dispersion(_buckets(*[100.0] * 30, *[10_000.0] * 30)) == 0
    assert _spread(_buckets(*_noise(100, 60))) == pytest.approx(1.0, abs=1.0)
    uneven = [100.0 + 50.0 * (second % 2) for second in range(60)]
    assert _spread(_buckets(*uneven)) > 5


def test_a_ramp_has_its_slope_and_loses_it_when_it_ends() -> None:
    ramp = [100.0 + 50.0 * second for second in range(30)]

    assert windows.trend(_buckets(*ramp), 1.0) == pytest.approx(40, rel=0.3)
    assert windows.trend(_buckets(*ramp, *[ramp[-1]] * 4), 1.0) == 0


def test_a_ramp_is_seen_in_its_fourth_second() -> None:
    ramp = [10.0 + 167.0 * second for second in range(4)]

    assert windows.trend(_buckets(*[10.0] * 40, *ramp[1:3]), 1.0) == 0
    assert windows.trend(_buckets(*[10.0] * 40, *ramp[1:]), 1.0) == pytest.approx(167, rel=0.1)


@pytest.mark.parametrize("seconds", range(1, 25))
def test_a_step_between_two_scrapes_has_no_trend(seconds: int) -> None:
    assert windows.trend(_buckets(*[10.0] * 40, 4_000.0, *[10_000.0] * seconds), 1.0) == 0


@pytest.mark.parametrize("seconds", range(1, 25))
def test_a_step_has_no_trend_at_any_time_after_it(seconds: int) -> None:
    assert windows.trend(_buckets(*[10.0] * 40, *[10_000.0] * seconds), 1.0) == 0


def test_a_noisy_step_that_falls_between_two_scrapes_is_no_growth() -> None:
    """50 to 165 requests a second (Azure Functions). Taken for growth, it once bought seven times the need."""
    step = [100.0, 165.0, 182.0]

    for seen in range(1, len(step) + 1):
        assert windows.trend(_buckets(*_noise(50, 40), *step[:seen]), 1.0) == 0


def test_slow_growth_is_seen_over_the_minute() -> None:
    buckets = _buckets(*[value + 0.4 * second for second, value in enumerate(_noise(50, 60))])

    assert windows.trend(buckets, 1.0) == pytest.approx(0.4, rel=0.8)


def _swinging(slope: float, seconds: int, *, seed: int) -> list[float]:
    """1,000 a second, each second a tenth off, and growing."""
    dice = random.Random(seed)
    return [(1000.0 + slope * second) * dice.gauss(1.0, 0.1) for second in range(seconds)]


def test_five_minutes_are_kept_in_stretches_of_ten_seconds() -> None:
    coarse = _coarse(*[3.0] * 1005)

    assert len(coarse) == 31
    assert {bucket.arrived for bucket in coarse[:-1]} == {30.0}
    assert coarse[-1].seconds == 5.0


def test_growth_that_a_minute_cannot_show_is_seen_over_minutes() -> None:
    for seed in range(10):
        rates = _swinging(2.0, 240, seed=seed)
        buckets, coarse = _buckets(*rates), _coarse(*rates)
        spread = _spread(buckets)

        assert windows.trend(buckets, spread, coarse) == pytest.approx(2.0, abs=1.0)
        assert windows.fall(coarse, spread) == 0


def test_a_fall_is_seen_over_minutes_and_never_in_a_step_or_a_wave() -> None:
    for seed in range(10):
        rates = _swinging(-2.0, 240, seed=seed)
        spread = _spread(_buckets(*rates))

        assert windows.fall(_coarse(*rates), spread) == pytest.approx(2.0, abs=1.0)
        steady = _swinging(0.0, 240, seed=seed)
        assert windows.fall(_coarse(*steady), _spread(_buckets(*steady))) == 0
    assert windows.fall(_coarse(*_noise(1000, 200), *_noise(200, 60)), 1.0) == 0
    wave = [500.0 + 20.0 * abs(second % 40 - 20) for second in range(300)]
    assert windows.fall(_coarse(*wave), _spread(_buckets(*wave))) == 0


def test_few_arrivals_are_averaged_for_longer() -> None:
    assert windows.mean_rate(_buckets(*[0.3] * 60))[2] == 60
    assert windows.mean_rate(_buckets(*[300.0] * 60))[2] == 20


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 100)), max_size=40), st.floats(0, 50))
def test_descending_maxima_know_every_maximum(steps: list[tuple[float, float]], back: float) -> None:
    now, peaks, seen = 0.0, (), []
    for pause, slots in steps:
        now += pause + 0.001
        seen.append(Peak(at=now, slots=slots))
        peaks = windows.push_peak(peaks, seen[-1], keep_seconds=300.0)
    since = now - back

    expected = max((peak.slots for peak in seen if peak.at > since and peak.at > now - 300.0), default=0.0)
    assert windows.highest(peaks, since) == expected


@pytest.mark.parametrize(("relative", "least", "most"), [(0.1, 0.006, 0.014), (0.0, -0.002, 0.002)])
def test_a_swing_is_told_from_noise_over_minutes(relative: float, least: float, most: float) -> None:
    for seed in range(5):
        dice = random.Random(seed)
        memory, buckets = Memory(), _buckets()
        for second in range(600):
            rate = (100 + second) * (1 + relative * dice.gauss(0, 1))
            buckets = windows.push(buckets, _second(second, max(0.0, dice.gauss(rate, max(0.0, rate) ** 0.5))))
            swing, arrived = windows.swing(memory, buckets)
            memory = Memory(swing=swing, swing_arrived=arrived)

        assert least < memory.swing / memory.swing_arrived < most


def test_a_ceiling_is_above_the_load_and_falls_with_it_in_seconds() -> None:
    for seed in range(20):
        assert windows.ceiling_rate(_buckets(*_noise(100, 60, seed=seed)), 1.0) > 95
    assert windows.ceiling_rate(_buckets(*[100.0] * 20, *[10.0] * 4), 1.0) < 20


def test_nothing_arrived_leaves_some_load_possible() -> None:
    assert windows.ceiling_rate(_buckets(0.0), 1.0) == pytest.approx(windows.SIGMAS**2)
