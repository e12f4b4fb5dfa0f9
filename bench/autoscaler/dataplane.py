# ruff: noqa: PLR0917  compiled functions take arrays by position
"""The data plane, event by event: balancer with a bounded queue, power of two choices, pods, drain. Compiled by numba.

Every policy meets the same plane and, for one seed, the same arrivals and work. A request goes to the less busy of two
random ready pods, or to any that admits it if neither does; otherwise it waits in the balancer's queue, from which any
completion takes the oldest. A pod told to go takes nothing new, finishes what it has, and is gone.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Columns of `count` (integers) and `total` (floats): the plane's scalars, in arrays so that compiled code can write.
ARRIVED, COMPLETED, REJECTED, VIOLATED, FAILED, QUEUED, EXECUTING, NEXT, READY, HEAP, HEAD, CUT = range(12)
NOW, EXECUTING_SECONDS, QUEUED_SECONDS, CPU_SECONDS, TENSOR_SECONDS, WAIT_MAX = range(6)
NONE, STARTING, SERVING, DRAINING = range(4)
WAIT_BINS = 120
"""Waits are counted in bins of a tenth of a decade from 10 microseconds."""


class Plane:
    """State of one run. Times in virtual seconds from the start of the run."""

    def __init__(self, *, arrivals: Floats, work: Floats, pods_max: int, slots_max: int, queue_max: int, seed: int):
        self.arrivals = arrivals
        self.work = work
        self.count: Integers = np.zeros(12, np.int64)
        self.total: Floats = np.zeros(6)
        self.state: Integers = np.zeros(pods_max, np.int64)
        self.busy: Integers = np.zeros(pods_max, np.int64)
        self.clock: Floats = np.zeros(pods_max)  # work done per request since the pod last was empty
        self.touched: Floats = np.zeros(pods_max)
        self.due: Floats = np.full(pods_max, np.inf)
        self.heap: Integers = np.zeros(pods_max, np.int64)
        self.place: Integers = np.full(pods_max, -1, np.int64)
        self.ready: Integers = np.zeros(pods_max, np.int64)
        self.where: Integers = np.full(pods_max, -1, np.int64)
        self.finish: Floats = np.zeros((pods_max, slots_max))
        self.since: Floats = np.zeros((pods_max, slots_max))
        self.queue: Integers = np.zeros(queue_max, np.int64)
        self.waits: Integers = np.zeros(WAIT_BINS, np.int64)
        self.random: NDArray[np.uint64] = np.array([seed * 2654435761 + 88172645463325252], np.uint64)

    def advance(self, until: float, *, speed: Floats, cpu: Floats, tensor: Floats, limit: int, slo: float) -> None:
        """Runs to `until`, admitting at most `limit` requests to a pod."""
        _advance(
            until,
            limit,
            slo,
            self.arrivals,
            self.work,
            speed,
            cpu,
            tensor,
            self.count,
            self.total,
            self.state,
            self.busy,
            self.clock,
            self.touched,
            self.due,
            self.heap,
            self.place,
            self.ready,
            self.where,
            self.finish,
            self.since,
            self.queue,
            self.waits,
            self.random,
        )

    def serve(self, pod: int) -> None:
        """The pod becomes ready."""
        self.state[pod] = SERVING
        self.touched[pod] = self.total[NOW]
        self.clock[pod] = 0.0
        self.ready[self.count[READY]] = pod
        self.where[pod] = self.count[READY]
        self.count[READY] += 1

    def drain(self, pod: int) -> None:
        """The pod takes nothing new."""
        _leave(pod, self.ready, self.where, self.count)
        self.state[pod] = DRAINING

    def kill(self, pod: int) -> int:
        """The pod is gone at once; returns the requests lost with it."""
        lost = int(self.busy[pod])
        if self.state[pod] == SERVING:
            _leave(pod, self.ready, self.where, self.count)
        _remove(pod, self.heap, self.place, self.due, self.count)
        self.count[EXECUTING] -= lost
        self.count[FAILED] += lost
        self.busy[pod] = 0
        self.state[pod] = NONE
        return lost

    def scalar(self, column: int) -> int:
        """An integer of `count`."""
        return int(self.count[column])

    def least_busy(self, number: int) -> list[int]:
        """Ready pods with the fewest requests: those that a scale-down takes first."""
        ready = self.ready[: self.count[READY]]
        order = np.argsort(self.busy[ready], kind="stable")
        return [int(pod) for pod in ready[order[:number]]]


def wait_quantile(waits: Integers, share: float) -> float:
    """Upper edge, in seconds, of the bin below which that share of the waits lies."""
    total = waits.sum()
    if total == 0:
        return 0.0
    index = int(np.searchsorted(np.cumsum(waits), share * total))
    return 0.0 if index == 0 else float(1e-5 * 10 ** (index / 10))


_compiled: Any = numba.njit(cache=True, fastmath=False, boundscheck=False, error_model="numpy")


@_compiled
def _leave(pod, ready, where, count):  # type: ignore[no-untyped-def]
    last = ready[count[READY] - 1]
    ready[where[pod]] = last
    where[last] = where[pod]
    where[pod] = -1
    count[READY] -= 1


@_compiled
def _sift(index, heap, place, due, size):  # type: ignore[no-untyped-def]
    pod = heap[index]
    key = due[pod]
    while index > 0:
        parent = (index - 1) >> 1
        if due[heap[parent]] <= key:
            break
        heap[index] = heap[parent]
        place[heap[index]] = index
        index = parent
    while True:
        child = 2 * index + 1
        if child >= size:
            break
        if child + 1 < size and due[heap[child + 1]] < due[heap[child]]:
            child += 1
        if due[heap[child]] >= key:
            break
        heap[index] = heap[child]
        place[heap[index]] = index
        index = child
    heap[index] = pod
    place[pod] = index


@_compiled
def _insert(pod, heap, place, due, count):  # type: ignore[no-untyped-def]
    index = place[pod]
    if index < 0:
        index = count[HEAP]
        heap[index] = pod
        place[pod] = index
        count[HEAP] += 1
    _sift(index, heap, place, due, count[HEAP])


@_compiled
def _remove(pod, heap, place, due, count):  # type: ignore[no-untyped-def]
    index = place[pod]
    if index < 0:
        return
    place[pod] = -1
    count[HEAP] -= 1
    last = heap[count[HEAP]]
    if last != pod:
        heap[index] = last
        place[last] = index
        _sift(index, heap, place, due, count[HEAP])


@_compiled
def _start(pod, key, arrived, busy, finish, since):  # type: ignore[no-untyped-def]
    """Puts a request into the pod's heap; `key`: the pod's clock at which it is done."""
    index = busy[pod]
    while index > 0:
        parent = (index - 1) >> 1
        if finish[pod, parent] <= key:
            break
        finish[pod, index] = finish[pod, parent]
        since[pod, index] = since[pod, parent]
        index = parent
    finish[pod, index] = key
    since[pod, index] = arrived
    busy[pod] += 1


@_compiled
def _end(pod, busy, finish, since):  # type: ignore[no-untyped-def]
    """Takes the request that is done out of the pod's heap."""
    size = busy[pod] - 1
    busy[pod] = size
    if size == 0:
        return
    key = finish[pod, size]
    arrived = since[pod, size]
    index = 0
    while True:
        child = 2 * index + 1
        if child >= size:
            break
        if child + 1 < size and finish[pod, child + 1] < finish[pod, child]:
            child += 1
        if finish[pod, child] >= key:
            break
        finish[pod, index] = finish[pod, child]
        since[pod, index] = since[pod, child]
        index = child
    finish[pod, index] = key
    since[pod, index] = arrived


@_compiled
def _note(wait, waits):  # type: ignore[no-untyped-def]
    if wait <= 1e-5:
        waits[0] += 1
    else:
        waits[min(WAIT_BINS - 1, int(np.ceil(10.0 * np.log10(wait / 1e-5))))] += 1


@_compiled
def _next(state):  # type: ignore[no-untyped-def]
    """The next random number (xorshift)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    return state ^ (state << np.uint64(17))


@_compiled
def _pick(state, number):  # type: ignore[no-untyped-def]
    return np.int64(((state >> np.uint64(32)) * np.uint64(number)) >> np.uint64(32))  # no division


@_compiled
def _advance(  # type: ignore[no-untyped-def]
    until, limit, slo, arrivals, work, speed, cpu, tensor, count, total, state, busy, clock, touched, due, heap, place,
    ready, where, finish, since, queue, waits, random,
):  # fmt: skip
    # Scalars live in variables here: of arrays that may overlap, each would be loaded and stored at every event.
    room = queue.size
    now, next_, queued, head = total[NOW], count[NEXT], count[QUEUED], count[HEAD]
    executing, pods, dice = count[EXECUTING], count[READY], random[0]
    executing_seconds = queued_seconds = cpu_seconds = tensor_seconds = 0.0
    completed = violated = rejected = 0
    wait_max = total[WAIT_MAX]
    size = arrivals.size
    arrival = arrivals[next_] if next_ < size else np.inf
    fill = 0  # the ready pod that the queue fills next: a raised limit, or pods that have just become ready, come first
    while True:
        chosen = np.int64(-1)
        pod = np.int64(-1)
        if fill < pods:
            if queued == 0:
                fill = pods
            elif busy[ready[fill]] < limit:
                chosen = ready[fill]
            else:
                fill += 1
                continue
        if chosen < 0:
            leaving = due[heap[0]] if count[HEAP] > 0 else np.inf
            event = min(arrival, leaving, until)
            executing_seconds += executing * (event - now)
            queued_seconds += queued * (event - now)
            now = event
            if event >= until:
                break
            if leaving <= arrival:
                pod = heap[0]
                number = busy[pod]
                elapsed = now - touched[pod]
                clock[pod] += speed[number] * elapsed
                cpu_seconds += cpu[number] * elapsed
                tensor_seconds += tensor[number] * elapsed
                touched[pod] = now
                violated += now - since[pod, 0] > slo
                completed += 1
                executing -= 1
                _end(pod, busy, finish, since)
                if queued > 0 and state[pod] == SERVING and number <= limit:
                    chosen = pod
                elif number > 1:
                    due[pod] = now + (finish[pod, 0] - clock[pod]) / speed[number - 1]
                    _sift(place[pod], heap, place, due, count[HEAP])
                    continue
                else:
                    due[pod] = np.inf
                    _remove(pod, heap, place, due, count)
                    continue
        if chosen >= 0:
            request = queue[head % room]
            head += 1
            queued -= 1
        else:
            request = next_
            next_ += 1
            arrival = arrivals[next_] if next_ < size else np.inf
            if pods > 0 and queued == 0:
                dice = _next(dice)
                chosen = ready[_pick(dice, pods)]
                dice = _next(dice)
                other = ready[_pick(dice, pods)]
                if busy[other] < busy[chosen]:
                    chosen = other
                if busy[chosen] >= limit:
                    # Refused by both: the balancer tries the others, as Envoy's retry on another host does.
                    dice = _next(dice)
                    offset = _pick(dice, pods)
                    chosen = np.int64(-1)
                    for step in range(pods):
                        other = ready[(offset + step) % pods]
                        if busy[other] < limit:
                            chosen = other
                            break
            if chosen < 0:
                if queued < room:
                    queue[(head + queued) % room] = request
                    queued += 1
                else:
                    rejected += 1
                continue
        number = busy[chosen]
        if number == 0:
            clock[chosen] = 0.0
        elif chosen != pod:
            elapsed = now - touched[chosen]
            clock[chosen] += speed[number] * elapsed
            cpu_seconds += cpu[number] * elapsed
            tensor_seconds += tensor[number] * elapsed
        touched[chosen] = now
        _start(chosen, clock[chosen] + work[request], arrivals[request], busy, finish, since)
        executing += 1
        wait = now - arrivals[request]
        _note(wait, waits)
        wait_max = max(wait_max, wait)
        due[chosen] = now + (finish[chosen, 0] - clock[chosen]) / speed[number + 1]
        _insert(chosen, heap, place, due, count)
    for index in range(pods):
        pod = ready[index]
        number = busy[pod]
        if number > 0:
            elapsed = until - touched[pod]
            clock[pod] += speed[number] * elapsed
            cpu_seconds += cpu[number] * elapsed
            tensor_seconds += tensor[number] * elapsed
        touched[pod] = until
    count[ARRIVED] += next_ - count[NEXT]
    count[NEXT], count[QUEUED], count[HEAD], count[EXECUTING] = next_, queued, head, executing
    count[COMPLETED] += completed
    count[VIOLATED] += violated
    count[REJECTED] += rejected
    total[NOW], total[WAIT_MAX] = until, wait_max
    total[EXECUTING_SECONDS] += executing_seconds
    total[QUEUED_SECONDS] += queued_seconds
    total[CPU_SECONDS] += cpu_seconds
    total[TENSOR_SECONDS] += tensor_seconds
    random[0] = dice
