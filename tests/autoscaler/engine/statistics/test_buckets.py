"""The minute that is kept in seconds, and minutes in stretches."""

from arrivals import minute, stretches


def test_a_minute_is_kept() -> None:
    assert len(minute(*[1.0] * 200)) == 60


def test_five_minutes_are_kept_in_stretches_of_ten_seconds() -> None:
    coarse = stretches(*[3.0] * 1005)

    assert len(coarse) == 31
    assert {bucket.arrived for bucket in coarse[:-1]} == {30.0}
    assert coarse[-1].seconds == 5.0
