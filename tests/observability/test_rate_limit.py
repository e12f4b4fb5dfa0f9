"""RateLimit: a burst, then so many a second, each caller for itself."""

from headrace.observability.console.rate_limit import RateLimit


def test_a_burst_is_admitted_and_then_so_many_a_second() -> None:
    now = [0.0]
    limit = RateLimit(per_second=2, burst=3, clock=lambda: now[0])

    assert [limit.admits("alice") for _ in range(4)] == [True, True, True, False]
    assert limit.admits("bob")
    now[0] = 0.4
    assert not limit.admits("alice")
    now[0] = 0.5
    assert [limit.admits("alice") for _ in range(2)] == [True, False]
    now[0] = 100
    assert [limit.admits("alice") for _ in range(4)] == [True, True, True, False]
