"""The lease: at most one leader, whatever the API server does."""

from headrace.contract import names
from headrace.kube.fake_leases import FakeLeases
from headrace.kube.lease import Elector

SPACE, NAME = names.SYSTEM_NAMESPACE, names.AUTOSCALER


def _pair() -> tuple[FakeLeases, Elector, Elector]:
    leases = FakeLeases()
    return leases, Elector(leases, "one", SPACE, NAME), Elector(leases, "two", SPACE, NAME)


def test_one_of_two_leads() -> None:
    _, one, two = _pair()
    for second in range(60):
        one.step(second, second)
        two.step(second + 0.5, second)

        assert one.leading
        assert not two.leading


def test_the_other_follows_within_fifteen_seconds_of_a_crash() -> None:
    """R21."""
    _, one, two = _pair()
    for second in range(10):
        one.step(second, second)
        two.step(second + 0.5, second)

    led = next(second for second in range(10, 60) if two.step(second + 0.5, second))

    assert led - 9 <= 15


def test_a_planned_end_hands_over_at_once() -> None:
    _, one, two = _pair()
    one.step(0, 0)
    one.release()

    assert two.step(2.1, 2)
    assert not one.leading


def test_a_leader_cut_off_stops_before_another_may_begin() -> None:
    """R18: no two replicas ever act at once."""
    leases, one, two = _pair()
    one.step(0, 0)
    two.step(0.5, 0)
    leases.down = True
    stopped = next(second for second in range(1, 60) if not one.step(second, second))
    leases.down = False
    one.identity = "gone"  # stays cut off
    began = next(second for second in range(1, 60) if two.step(second + 0.5, second))

    assert stopped < began


def test_a_wall_clock_an_hour_off_changes_nobody() -> None:
    """R39."""
    _, one, two = _pair()
    for second in range(40):
        one.step(second, 1_000_000 + second + (3600 if second > 20 else 0))
        two.step(second + 0.5, 1_000_000 + second)

        assert one.leading
        assert not two.leading


def test_two_that_try_at_once_end_with_one() -> None:
    leases, one, two = _pair()
    lease = leases.read_lease("headrace-system", "autoscaler")
    assert lease is None
    one.step(0, 0)
    two.step(0, 0)

    assert [one.leading, two.leading] == [True, False]
