"""VersionQueue: who waits, who goes, and to which pod; on a clock of numbers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.routing.activator.version_queue import BARRED_SECONDS, LEASE_SECONDS, VersionQueue, Waiting
from headrace.routing.snapshot import PodAddress

ONE, TWO = PodAddress("10.0.0.1", 8080), PodAddress("10.0.0.2", 8080)


def queue_of(count: int, at: float = 0.0) -> tuple[VersionQueue, list[Waiting]]:
    queue = VersionQueue()
    requests = [Waiting(arrived_at=at + number / 1000, deadline=at + 60.0, size=10) for number in range(count)]
    for request in requests:
        queue.join(request)
    return queue, requests


def test_nobody_goes_without_a_pod() -> None:
    queue, _ = queue_of(3)
    assert queue.let_go(1.0) == []
    assert (len(queue), queue.size, queue.first_at) == (3, 30, 0.0)


def test_a_pod_that_starts_gets_one_request_and_more_as_they_end() -> None:
    queue, requests = queue_of(10)
    queue.set_pods({ONE: 4})
    assert queue.let_go(1.0) == [(requests[0], ONE)]
    sizes = []
    for round_at in (1.1, 1.2, 1.3):
        for _ in range(max(1, sizes[-1] if sizes else 1)):
            queue.ended(ONE, round_at)
        sizes.append(len(queue.let_go(round_at)))
    assert sizes == [2, 4, 3], "twice as many each round, up to what it admits; the last three were all that was left"
    assert len(queue) == 0


def test_two_pods_share_what_waits() -> None:
    queue, _ = queue_of(10)
    queue.set_pods({ONE: 8, TWO: 8})
    assert [pod for _, pod in queue.let_go(1.0)] == [ONE, TWO]


def test_who_leaves_is_given_to_nobody() -> None:
    queue, requests = queue_of(3)
    assert queue.leave(requests[0])
    assert not queue.leave(requests[0])
    queue.set_pods({ONE: 4})
    assert queue.let_go(1.0) == [(requests[1], ONE)]
    assert queue.size == 10


def test_a_place_that_nobody_gives_back_is_free_again_in_time() -> None:
    queue, _ = queue_of(2)
    queue.set_pods({ONE: 1})
    assert len(queue.let_go(1.0)) == 1
    assert queue.let_go(1.0 + LEASE_SECONDS - 0.1) == []
    assert len(queue.let_go(1.0 + LEASE_SECONDS)) == 1


def test_a_pod_that_was_not_reached_is_set_aside() -> None:
    queue, requests = queue_of(3)
    queue.set_pods({ONE: 1})
    queue.let_go(1.0)
    queue.ended(ONE, 1.1, reached=False)
    assert queue.let_go(1.2) == []
    queue.set_pods({ONE: 1, TWO: 1})
    assert queue.let_go(1.3) == [(requests[1], TWO)]
    assert queue.let_go(1.1 + BARRED_SECONDS) == [(requests[2], ONE)]


def test_a_pod_that_stays_keeps_what_it_was_given() -> None:
    queue, _ = queue_of(3)
    queue.set_pods({ONE: 1})
    queue.let_go(1.0)
    queue.set_pods({ONE: 1})
    assert queue.let_go(1.1) == []
    queue.set_pods({})
    queue.set_pods({ONE: 1})
    assert len(queue.let_go(1.2)) == 1, "a pod that was away has nothing any more"


def test_those_whose_time_is_over_are_taken_out() -> None:
    queue, requests = queue_of(2)
    requests[0].deadline = 5.0
    assert queue.late(5.0) == [requests[0]]
    assert (len(queue), queue.waited(6.0)) == (1, 6.0 - requests[1].arrived_at)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, 3)),
        st.tuples(st.just("leave"), st.integers(0, 50)),
        st.tuples(st.just("pods"), st.integers(0, 3)),
        st.tuples(st.just("ended"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.integers(0, 12)),
    ),
    max_size=60,
)
PODS = [PodAddress(f"10.0.0.{number}", 8080) for number in range(3)]


@settings(max_examples=200, deadline=None)
@given(STEPS, st.integers(1, 4))
def test_whatever_happens_nobody_is_lost_or_doubled_and_no_pod_gets_too_much(
    steps: list[tuple[str, int]], limit: int
) -> None:
    queue, now, joined, gone, given_to = VersionQueue(), 0.0, list[Waiting](), set[int](), list[tuple[float, int]]()
    order: list[Waiting] = []
    for verb, number in steps:
        now += 0.01
        if verb == "join":
            for _ in range(number):
                joined.append(Waiting(arrived_at=now, deadline=now + 1e6, size=1))
                queue.join(joined[-1])
        elif verb == "leave" and joined:
            request = joined[number % len(joined)]
            if queue.leave(request):
                gone.add(id(request))
        elif verb == "pods":
            queue.set_pods(dict.fromkeys(PODS[:number], limit))
            given_to = [(at, place) for at, place in given_to if place < number]
        elif verb == "ended":
            queue.ended(PODS[number], now)
            mine = next((lease for lease in given_to if lease[1] == number), None)
            if mine is not None:
                given_to.remove(mine)
        else:
            now += number
        for request, pod in queue.let_go(now):
            assert id(request) not in gone
            gone.add(id(request))
            order.append(request)
            given_to.append((now, PODS.index(pod)))
        given_to = [lease for lease in given_to if now - lease[0] < LEASE_SECONDS]
        for place in range(len(PODS)):
            assert sum(each == place for _, each in given_to) <= limit
    assert len(queue) == len(joined) - len(gone) == queue.size
    assert [joined.index(each) for each in order] == sorted(joined.index(each) for each in order), "in order of arrival"
