"""The line through points by weighted least squares, from points or from sums that fade and are stored."""

from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float, float]
"""x, y and weight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """y = mean_y + slope (x - mean_x): about its middle, so that Unix seconds as x cost no digits."""

    mean_x: float
    mean_y: float
    slope: float
    spread: float
    """Weighted sum of the squares of x about its mean; 0: all points are at one x, and the line is flat."""

    @property
    def intercept(self) -> float:
        """y at x = 0."""
        return self.at(0.0)

    def at(self, x: float) -> float:
        return self.mean_y + self.slope * (x - self.mean_x)


def fit(points: Sequence[Point]) -> Line:
    """The best line through the points, of which there must be one with some weight."""
    weight = sum(w for _, _, w in points)
    mean_x, mean_y = sum(w * x for x, _, w in points) / weight, sum(w * y for _, y, w in points) / weight
    away = [(x - mean_x, y, w) for x, y, w in points]
    return _line(mean_x, mean_y, sum(w * x * x for x, _, w in away), sum(w * x * y for x, y, w in away))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """Sums over points that fade, each times its weight. Part of a stored profile."""

    weight: float = 0.0
    points: float = 0.0
    """How many points there are, faded like the rest."""
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0

    def with_point(self, x: float, y: float, *, weight: float, keep: float) -> "Sums":
        """The sums with one more point, where older ones keep that share of their weight."""
        return Sums(
            weight=keep * self.weight + weight,
            points=keep * self.points + 1.0,
            x=keep * self.x + weight * x,
            y=keep * self.y + weight * y,
            xx=keep * self.xx + weight * x * x,
            xy=keep * self.xy + weight * x * y,
            yy=keep * self.yy + weight * y * y,
        )

    def fit(self) -> Line:
        """The best line through the points, of which there must be one with some weight."""
        mean_x, mean_y = self.x / self.weight, self.y / self.weight
        return _line(mean_x, mean_y, self.xx - mean_x * self.x, self.xy - mean_x * self.y)

    def rest(self, line: Line) -> float:
        """Weighted sum of the squares of y that their best line leaves unexplained."""
        return max(0.0, self.yy - line.mean_y * self.y - line.slope * line.slope * line.spread)


def _line(mean_x: float, mean_y: float, spread: float, product: float) -> Line:
    slope = product / spread if spread > 0 else 0.0
    return Line(mean_x=mean_x, mean_y=mean_y, slope=slope, spread=max(0.0, spread))
