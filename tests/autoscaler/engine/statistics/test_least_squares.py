"""One line through points, from points and from sums, against numpy's."""

import random

import numpy as np
import pytest

from headrace.autoscaler.engine.statistics.least_squares import Point, Sums, fit

NOW = 1_780_000_000.0
"""Unix seconds, as which x costs a naive sum of squares all its digits."""


def _points(offset: float = 0.0) -> list[Point]:
    dice = random.Random(1)
    return [(offset + x, 3.0 + 0.25 * x + dice.gauss(0.0, 0.1), dice.uniform(0.5, 4.0)) for x in range(1, 40)]


@pytest.mark.parametrize("offset", [0.0, NOW])
def test_the_line_through_points_is_that_of_numpy(offset: float) -> None:
    points = _points(offset)
    x, y, weight = (np.array(column) for column in zip(*points, strict=True))
    slope, middle = np.polyfit(x - x.mean(), y, 1, w=np.sqrt(weight))

    line = fit(points)

    assert line.slope == pytest.approx(slope, rel=1e-6)
    assert line.at(float(x.mean())) == pytest.approx(middle, rel=1e-6)


def test_sums_give_the_same_line_and_what_it_leaves() -> None:
    points, sums = _points(), Sums()
    for x, y, weight in points:
        sums = sums.with_point(x, y, weight=weight, keep=1.0)
    line, found = fit(points), sums.fit()

    assert (found.slope, found.intercept) == pytest.approx((line.slope, line.intercept), rel=1e-9)
    assert sums.rest(found) == pytest.approx(sum(w * (y - line.at(x)) ** 2 for x, y, w in points), rel=1e-6)


def test_older_points_fade() -> None:
    sums = Sums()
    for slope in (1.0, 5.0):
        for x in range(20):
            sums = sums.with_point(float(x), slope * x, weight=1.0, keep=0.5)

    assert sums.fit().slope == pytest.approx(5.0, rel=0.05)


def test_points_at_one_place_have_a_flat_line() -> None:
    line = fit([(2.0, 1.0, 1.0), (2.0, 3.0, 1.0)])

    assert (line.slope, line.spread, line.at(7.0)) == (0.0, 0.0, 2.0)
