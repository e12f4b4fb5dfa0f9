"""The events of podplane, compiled by numba: proxies, balancer, fronts, calls, and the sharing of cores."""

import numpy as np

from bench.autoscaler.dataplane import SERVING, _compiled, _insert, _next, _note, _pick, _remove
from bench.autoscaler.podstate import (
    ADMIT,
    ARRIVED,
    CALL_SECONDS,
    CALL_WORK,
    CALLED,
    CALLS,
    CAPACITY,
    COMPLETED,
    COMPUTES,
    CORES,
    CPU_SECONDS,
    EACH,
    EXECUTING,
    EXECUTING_SECONDS,
    FIXED,
    FREE,
    FRONT,
    HEAD,
    HEAP,
    HOLDS,
    IN_PATH,
    INSIDE,
    LANES,
    LATENCY_BINS,
    LIMIT,
    LOOPS,
    MOST,
    MOST_COST,
    NEIGHBOUR,
    NEXT,
    NOW,
    NUMBER,
    OTHERS,
    PATH,
    PATH_ARRIVED,
    PATH_SECONDS,
    PATH_THREADS,
    PATH_WAIT,
    QUANTUM,
    QUEUED,
    QUEUED_SECONDS,
    READY,
    REJECTED,
    SHARE,
    SLO,
    SLOW,
    STARTING_WANT,
    USED_NODES,
    USED_PODS,
    VIOLATED,
    WAIT_MAX,
    WANT,
)  # fmt: skip


@_compiled
def connect(start, stop, at, memory):  # type: ignore[no-untyped-def]
    s = memory[0]
    for connection in range(start, stop):
        s.loop_live[connection] = 1
        _send(connection, at, s)


@_compiled
def _send(connection, now, s):  # type: ignore[no-untyped-def]
    """A connection's next request enters the proxies."""
    s.count[IN_PATH] += 1
    crowd = max(1.0, s.count[IN_PATH] / max(1.0, s.law[PATH_THREADS]))
    s.loop_sent[connection] = now
    s.loop_at[connection] = now + s.law[PATH_WAIT] + s.law[PATH] * crowd / s.node[0, SHARE]
    held = s.count[HEAP]  # the heap's functions count in this column
    s.count[HEAP] = s.count[LOOPS]
    _insert(connection, s.loop_heap, s.loop_place, s.loop_at, s.count)
    s.count[LOOPS], s.count[HEAP] = s.count[HEAP], held


@_compiled
def _answer(slot, now, s):  # type: ignore[no-untyped-def]
    """A request leaves, answered or refused: its place is free and its connection sends the next."""
    s.free[s.count[FREE]] = slot
    s.count[FREE] += 1
    connection = s.sender[slot]
    if connection >= 0 and s.loop_live[connection] == 1:
        _send(connection, now, s)


@_compiled
def _append(pod, which, slot, s):  # type: ignore[no-untyped-def]
    s.after[slot] = -1
    if s.list_head[pod, which] < 0:
        s.list_head[pod, which] = slot
    else:
        s.after[s.list_tail[pod, which]] = slot
    s.list_tail[pod, which] = slot


@_compiled
def _settle(pod, now, s):  # type: ignore[no-untyped-def]
    """Brings the pod's work up to now."""
    elapsed = now - s.touched[pod]
    s.touched[pod] = now
    if elapsed <= 0.0 or (s.running[pod] == 0 and s.reading[pod] == 0):
        return
    number = s.running[pod]
    wanted = number * s.law[COMPUTES]
    s.clock[pod] += s.rate[pod] * elapsed
    cpu = number * s.law[COMPUTES] * s.rate[pod]
    if s.reading[pod] > 0:
        s.read_left[pod] -= s.read_rate[pod] * elapsed
        cpu += s.read_rate[pod]
        wanted += 1.0
    s.total[CPU_SECONDS] += cpu * elapsed
    s.total[CALL_SECONDS] += number * elapsed
    s.total[CALL_WORK] += number * s.rate[pod] * elapsed
    s.node[s.home[pod], WANT] += min(wanted, s.law[CORES]) * elapsed


@_compiled
def _schedule(pod, now, s):  # type: ignore[no-untyped-def]
    """When the pod's next event is, at the speed that its limit and its node leave it."""
    reads = s.reading[pod] > 0
    wanted = s.running[pod] * s.law[COMPUTES] + (1.0 if reads else 0.0)
    share = s.node[s.home[pod], SHARE]
    if wanted > s.law[CORES]:
        share *= s.law[CORES] / wanted
    s.rate[pod] = 1.0 if share == 1.0 else 1.0 / (1.0 - s.law[COMPUTES] + s.law[COMPUTES] / share)
    s.read_rate[pod] = share
    s.read_due[pod] = now + max(0.0, s.read_left[pod]) / share if reads else np.inf
    s.call_due[pod] = now + (s.finish[pod, 0] - s.clock[pod]) / s.rate[pod] if s.running[pod] > 0 else np.inf
    s.due[pod] = min(s.read_due[pod], s.call_due[pod])
    if s.due[pod] == np.inf:
        _remove(pod, s.heap, s.place, s.due, s.count)
    else:
        _insert(pod, s.heap, s.place, s.due, s.count)


@_compiled
def _call(pod, now, s):  # type: ignore[no-untyped-def]
    """Gives free lanes what waits, as far as the limit goes."""
    while s.waiting[pod] > 0 and s.running[pod] < s.law[LANES] and s.executing[pod] < s.law[LIMIT]:
        most = min(s.law[MOST], s.law[LIMIT] - s.executing[pod])
        free = s.law[LANES] - s.running[pod]
        if free > 1.0 and s.law[MOST] > 1.0 and s.law[EACH] * s.waiting[pod] > s.law[FIXED]:
            most = min(most, np.ceil(s.waiting[pod] / free))
        first = s.list_head[pod, 1]
        slot, number, cost = first, 0, 0.0
        while number < most and slot >= 0:
            if number > 0 and cost + s.cost[slot] > s.law[MOST_COST]:
                break
            cost += s.cost[slot]
            number += 1
            wait = now - s.since[slot]
            _note(wait, s.waits)
            s.total[WAIT_MAX] = max(s.total[WAIT_MAX], wait)
            slot = s.after[slot]
        s.list_head[pod, 1] = slot
        s.waiting[pod] -= number
        s.executing[pod] += number
        s.count[EXECUTING] += number
        if s.running[pod] == 0:
            s.clock[pod] = 0.0
        key = s.clock[pod] + s.law[SLOW] * (s.law[FIXED] + s.law[EACH] * cost)
        index = s.running[pod]
        while index > 0:
            parent = (index - 1) >> 1
            if s.finish[pod, parent] <= key:
                break
            _move(pod, parent, index, s)
            index = parent
        s.finish[pod, index], s.first[pod, index], s.size[pod, index] = key, first, number
        s.running[pod] += 1


@_compiled
def _move(pod, source, target, s):  # type: ignore[no-untyped-def]
    s.finish[pod, target], s.first[pod, target] = s.finish[pod, source], s.first[pod, source]
    s.size[pod, target] = s.size[pod, source]


@_compiled
def _called(pod, now, s):  # type: ignore[no-untyped-def]
    """The call that is done answers its requests."""
    slot, number = s.first[pod, 0], s.size[pod, 0]
    size = s.running[pod] - 1
    s.running[pod] = size
    if size > 0:
        key, index = s.finish[pod, size], 0
        while True:
            child = 2 * index + 1
            if child >= size:
                break
            if child + 1 < size and s.finish[pod, child + 1] < s.finish[pod, child]:
                child += 1
            if s.finish[pod, child] >= key:
                break
            _move(pod, child, index, s)
            index = child
        _move(pod, size, index, s)
    s.executing[pod] -= number
    s.inside[pod] -= number
    s.count[EXECUTING] -= number
    s.count[INSIDE] -= number
    s.count[COMPLETED] += number
    s.count[CALLS] += 1
    s.count[CALLED] += number
    for _ in range(number):
        after = s.after[slot]
        latency = now - s.since[slot]
        s.count[VIOLATED] += latency > s.law[SLO]
        place = 0 if latency <= 1e-5 else int(np.ceil(50.0 * np.log10(latency / 1e-5)))
        s.latencies[min(LATENCY_BINS - 1, place)] += 1
        _answer(slot, now, s)
        slot = after


@_compiled
def _enter(pod, slot, now, s):  # type: ignore[no-untyped-def]
    """A pod takes a request."""
    s.inside[pod] += 1
    s.count[INSIDE] += 1
    if s.law[FRONT] > 0.0:
        _append(pod, 0, slot, s)
        s.reading[pod] += 1
        if s.reading[pod] == 1:
            s.read_left[pod] = s.law[FRONT]
    else:
        _append(pod, 1, slot, s)
        s.waiting[pod] += 1
        _call(pod, now, s)


@_compiled
def _read(pod, now, s):  # type: ignore[no-untyped-def]
    """The front has read a request; calls start when nothing more is there to be read or what waits is worth one."""
    slot = s.list_head[pod, 0]
    s.list_head[pod, 0] = s.after[slot]
    s.reading[pod] -= 1
    s.read_left[pod] = s.law[FRONT]
    _append(pod, 1, slot, s)
    s.waiting[pod] += 1
    waiting = s.waiting[pod]
    if s.reading[pod] == 0 or waiting >= s.law[MOST] or s.law[EACH] * waiting > s.law[FIXED]:
        _call(pod, now, s)


@_compiled
def _share(seconds, now, s):  # type: ignore[no-untyped-def]
    """Shares the nodes' cores by what was wanted in the last `seconds`."""
    for pod in range(s.count[USED_PODS]):
        if s.running[pod] > 0 or s.reading[pod] > 0:
            _settle(pod, now, s)
    path = s.total[PATH_SECONDS] / seconds + s.total[PATH_ARRIVED] * s.law[PATH] / seconds
    s.total[PATH_SECONDS] = s.total[PATH_ARRIVED] = 0.0
    for node in range(s.count[USED_NODES]):
        wanted = s.node[node, WANT] / seconds + s.node[node, OTHERS] + s.node[node, NEIGHBOUR]
        wanted += s.node[node, STARTING_WANT] + (path if node == 0 else 0.0)
        share = 1.0 if wanted <= s.node[node, CAPACITY] else s.node[node, CAPACITY] / wanted
        s.node[node, WANT] = 0.0
        if share != s.node[node, SHARE]:
            s.node[node, SHARE] = share
            for pod in range(s.count[USED_PODS]):
                if s.home[pod] == node and (s.running[pod] > 0 or s.reading[pod] > 0):
                    _schedule(pod, now, s)


@_compiled
def advance(until, memory, arrivals, costs):  # type: ignore[no-untyped-def]
    s = memory[0]
    count, total = s.count, s.total
    room, admit = s.queue.size, s.law[ADMIT]
    fill = 0  # the ready pod that the queue fills next: a raised limit, or pods that have just become ready, come first
    shared = total[NOW]
    while True:
        if fill < count[READY]:
            pod = s.ready[fill]
            if fill >= 0 and s.waiting[pod] > 0 and s.running[pod] < s.law[LANES] and s.executing[pod] < s.law[LIMIT]:
                _settle(pod, total[NOW], s)
                _call(pod, total[NOW], s)  # a raised limit
                _schedule(pod, total[NOW], s)
            if count[QUEUED] > 0 and s.inside[pod] < admit:
                _settle(pod, total[NOW], s)
                _unqueue(pod, total[NOW], s)
                _schedule(pod, total[NOW], s)
            else:
                fill += 1
            continue
        leaving = s.due[s.heap[0]] if count[HEAP] > 0 else np.inf
        timed = arrivals[count[NEXT]] if count[NEXT] < arrivals.size else np.inf
        looped = s.loop_at[s.loop_heap[0]] if count[LOOPS] > 0 else np.inf
        arrival = min(timed, looped)
        event = min(arrival, leaving, until, shared + QUANTUM)
        elapsed = event - total[NOW]
        total[EXECUTING_SECONDS] += count[EXECUTING] * elapsed
        total[QUEUED_SECONDS] += (count[QUEUED] + count[INSIDE] - count[EXECUTING]) * elapsed
        total[PATH_SECONDS] += min(float(count[IN_PATH]), s.law[PATH_THREADS]) * elapsed
        total[NOW] = now = event
        if event >= until or event >= shared + QUANTUM:
            if event > shared:
                _share(event - shared, event, s)
            shared = event
            if event >= until:
                break
            continue
        if leaving <= arrival:
            pod = s.heap[0]
            _settle(pod, now, s)
            if s.read_due[pod] <= s.call_due[pod]:
                _read(pod, now, s)
            else:
                _called(pod, now, s)
                if s.state[pod] == SERVING and count[QUEUED] > 0:
                    while count[QUEUED] > 0 and s.inside[pod] < admit:
                        _unqueue(pod, now, s)
                _call(pod, now, s)
            _schedule(pod, now, s)
            continue
        slot = s.free[count[FREE] - 1]
        count[FREE] -= 1
        s.cost[slot] = costs[count[NUMBER] % costs.size]
        count[NUMBER] += 1
        if timed <= looped:
            count[NEXT] += 1
            s.sender[slot], s.since[slot] = -1, timed
            total[PATH_ARRIVED] += 1.0
        else:
            connection = s.loop_heap[0]
            held, count[HEAP] = count[HEAP], count[LOOPS]
            _remove(connection, s.loop_heap, s.loop_place, s.loop_at, count)
            count[LOOPS], count[HEAP] = count[HEAP], held
            count[IN_PATH] -= 1
            s.sender[slot], s.since[slot] = connection, s.loop_sent[connection]
        count[ARRIVED] += 1
        chosen = _choose(admit, s) if count[READY] > 0 and count[QUEUED] == 0 else np.int64(-1)
        if chosen >= 0:
            _settle(chosen, now, s)
            _enter(chosen, slot, now, s)
            _schedule(chosen, now, s)
        elif count[QUEUED] < room and (count[HOLDS] == 1 or count[READY] == 0) and count[FREE] > 0:
            s.queue[(count[HEAD] + count[QUEUED]) % room] = slot
            count[QUEUED] += 1
        else:
            count[REJECTED] += 1
            _answer(slot, now, s)


@_compiled
def _unqueue(pod, now, s):  # type: ignore[no-untyped-def]
    """The pod takes the request that has waited longest in the balancer."""
    slot = s.queue[s.count[HEAD] % s.queue.size]
    s.count[HEAD] += 1
    s.count[QUEUED] -= 1
    _enter(pod, slot, now, s)


@_compiled
def _choose(admit, s):  # type: ignore[no-untyped-def]
    """The less busy of two random ready pods, or any that admits; -1: none does."""
    pods = s.count[READY]
    dice = _next(s.random[0])
    chosen = s.ready[_pick(dice, pods)]
    dice = _next(dice)
    other = s.ready[_pick(dice, pods)]
    if s.inside[other] < s.inside[chosen]:
        chosen = other
    if s.inside[chosen] >= admit:
        dice = _next(dice)
        offset = _pick(dice, pods)
        chosen = np.int64(-1)
        for step in range(pods):
            other = s.ready[(offset + step) % pods]
            if s.inside[other] < admit:
                chosen = other
                break
    s.random[0] = dice
    return chosen
