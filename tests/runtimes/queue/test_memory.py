"""The account of memory that request bodies take."""

from headrace.runtimes.protocols.request_body import BODY_LIMIT
from headrace.runtimes.queue.memory import MemoryAccount


def test_bodies_take_an_eighth_of_the_pods_memory_and_no_more() -> None:
    account = MemoryAccount(16 << 30)

    assert account.takes(2 << 30)
    assert not account.takes(1)
    account.change(2 << 30, 0)
    assert account.takes(1)


def test_a_small_pod_has_room_for_four_of_the_largest_bodies() -> None:
    account = MemoryAccount(256 << 20)

    assert [account.takes(BODY_LIMIT) for _ in range(5)] == [True] * 4 + [False]


def test_a_pod_without_a_limit_is_bounded_all_the_same() -> None:
    account = MemoryAccount(None)

    assert account.takes(32 * BODY_LIMIT)
    assert not account.takes(1)
