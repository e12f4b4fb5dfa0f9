"""Pods that no node has room for are ordered once."""

import pytest

from headrace.autoscaler.engine import PodCounts, Reason, reasons
from headrace.autoscaler.engine.memory.placement import FORGOTTEN_SECONDS, Placement


def pods(placed: int, waiting: int) -> PodCounts:
    return PodCounts(desired=placed + waiting, ready=placed, unschedulable=waiting)


def limited(placement: Placement, seen: PodCounts, now: float) -> tuple[int, Placement, Reason | None]:
    """Of 60 pods wanted, those that are ordered."""
    after = placement.after(seen, now)
    ordered, reason = after.limited(60)
    return ordered, after, reason


def test_what_fits_and_one_more_is_ordered() -> None:
    wanted, placement, reason = limited(Placement(), pods(4, 53), 100.0)

    assert wanted == 5
    assert reason is not None
    assert reason.code == reasons.CAPACITY_SHORT
    assert "60 wanted, nodes have room for 4" in reason.message
    assert limited(placement, pods(4, 1), 105.0)[0] == 5


def test_an_order_grows_as_what_was_ordered_is_placed() -> None:
    placement, orders, placed = Placement(), [], 4
    wanted, placement, _ = limited(placement, pods(4, 10), 0.0)
    for second in range(1, 6):  # a cluster that makes a node for whatever waits
        placed = wanted
        wanted, placement, _ = limited(placement, pods(placed, 0), float(second))
        orders.append(wanted)

    assert orders == [7, 11, 19, 35, 60]


def test_a_cluster_that_is_full_again_is_asked_for_one_more() -> None:
    _, placement, _ = limited(Placement(), pods(4, 10), 0.0)
    _, placement, _ = limited(placement, pods(5, 0), 1.0)
    _, placement, _ = limited(placement, pods(7, 0), 2.0)

    assert limited(placement, pods(7, 4), 3.0)[0] == 8


@pytest.mark.parametrize("waiting", [0, 1])
def test_fewer_pods_are_never_made_more(waiting: int) -> None:
    assert Placement().after(pods(4, waiting), 0.0).limited(2) == (2, None)


def test_a_full_cluster_is_forgotten() -> None:
    _, placement, _ = limited(Placement(), pods(4, 10), 0.0)

    assert limited(placement, pods(4, 0), FORGOTTEN_SECONDS)[0] == 60
