"""Pods that no node has room for are ordered once."""

import pytest

from headrace.autoscaler.engine import Memory, PodCounts, model, room


def pods(placed: int, waiting: int) -> PodCounts:
    return PodCounts(desired=placed + waiting, ready=placed, unschedulable=waiting)


def test_what_fits_and_one_more_is_ordered() -> None:
    wanted, memory, reason = room.limited(Memory(), pods(4, 53), 57, 100.0)

    assert wanted == 5
    assert reason is not None
    assert reason.code == model.CAPACITY_SHORT
    assert "57 wanted, nodes have room for 4" in reason.message
    assert room.limited(memory, pods(4, 1), 57, 105.0)[0] == 5


def test_an_order_grows_as_what_was_ordered_is_placed() -> None:
    memory, orders, placed = Memory(), [], 4
    wanted, memory, _ = room.limited(memory, pods(4, 10), 60, 0.0)
    for second in range(1, 6):  # a cluster that makes a node for whatever waits
        placed = wanted
        wanted, memory, _ = room.limited(memory, pods(placed, 0), 60, float(second))
        orders.append(wanted)

    assert orders == [7, 11, 19, 35, 60]


def test_a_cluster_that_is_full_again_is_asked_for_one_more() -> None:
    _, memory, _ = room.limited(Memory(), pods(4, 10), 60, 0.0)
    _, memory, _ = room.limited(memory, pods(5, 0), 60, 1.0)
    _, memory, _ = room.limited(memory, pods(7, 0), 60, 2.0)

    assert room.limited(memory, pods(7, 4), 60, 3.0)[0] == 8


@pytest.mark.parametrize("waiting", [0, 1])
def test_fewer_pods_are_never_made_more(waiting: int) -> None:
    assert room.limited(Memory(), pods(4, waiting), 2, 0.0)[0] == 2


def test_a_full_cluster_is_forgotten() -> None:
    _, memory, _ = room.limited(Memory(), pods(4, 10), 60, 0.0)

    assert room.limited(memory, pods(4, 0), 60, room.FORGOTTEN_SECONDS)[0] == 60
