"""The sliding maximum knows every maximum."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.autoscaler.engine.statistics import sliding_maximum
from headrace.autoscaler.engine.statistics.sliding_maximum import Peak


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 100)), max_size=40), st.floats(0, 50))
def test_descending_maxima_know_every_maximum(steps: list[tuple[float, float]], back: float) -> None:
    now, peaks, seen = 0.0, (), []
    for pause, slots in steps:
        now += pause + 0.001
        seen.append(Peak(at=now, slots=slots))
        peaks = sliding_maximum.push(peaks, seen[-1], keep_seconds=300.0)
    since = now - back

    expected = max((peak.slots for peak in seen if peak.at > since and peak.at > now - 300.0), default=0.0)
    assert sliding_maximum.highest(peaks, since) == expected
