"""What a run on podplane consists of: its columns, and the one piece of memory that compiled code works in."""

import numpy as np

from bench.autoscaler.dataplane import WAIT_BINS

QUANTUM = 0.02
"""Seconds over which the wants of a node are averaged before its cores are shared anew."""
LATENCY_BINS = 480
"""Latencies are counted in bins of a fiftieth of a decade from 10 microseconds."""
PODS, LANES_MAX, NODES, QUEUE, CONNECTIONS, FLYING = 256, 1024, 8, 10_000, 1024, 1 << 19
"""Most that a run may have; QUEUE is the balancer's."""

# Columns of `count`, the first as in dataplane. INSIDE: requests in pods. CALLED: requests that calls answered. HOLDS:
# whether the balancer keeps what no ready pod admits; otherwise it refuses that, and keeps it only while none is ready.
ARRIVED, COMPLETED, REJECTED, VIOLATED, FAILED, QUEUED, EXECUTING, NEXT, READY, HEAP, HEAD, CUT = range(12)
INSIDE, NUMBER, IN_PATH, LOOPS, FREE, CALLS, CALLED, HOLDS, USED_NODES, USED_PODS = range(12, 22)
# Of `total`. CALL_WORK: seconds that the calls would have taken with all the CPU they want.
NOW, EXECUTING_SECONDS, QUEUED_SECONDS, CPU_SECONDS, CALL_SECONDS = range(5)
WAIT_MAX, CALL_WORK, PATH_SECONDS, PATH_ARRIVED = range(5, 9)
# Of `law`, what a pod of the service is. A call of requests with costs c takes FIXED + EACH * sum(c), times SLOW;
# COMPUTES is its part that is CPU; FRONT the CPU-seconds of a request in the front; LANES how many calls run at once;
# ADMIT how many requests a pod takes in; PATH the CPU-seconds of a request in the proxies, which have PATH_THREADS on
# node 0, and PATH_WAIT what they take besides.
FIXED, EACH, COMPUTES, FRONT, CORES, LANES, MOST, MOST_COST, LIMIT, ADMIT, SLO, PATH, PATH_THREADS, PATH_WAIT, SLOW = (
    range(15)
)
# Of `node`, all in cores but SHARE, the part of what is wanted there that is had.
CAPACITY, SHARE, WANT, OTHERS, NEIGHBOUR, STARTING_WANT = range(6)

_INTEGERS = {
    PODS: "state home inside running executing waiting reading heap place ready where",
    FLYING: "after sender free",
    CONNECTIONS: "loop_heap loop_place loop_live",
    (PODS, 2): "list_head list_tail",
    (PODS, LANES_MAX): "first size",
    QUEUE: "queue",
    WAIT_BINS: "waits",
    LATENCY_BINS: "latencies",
    22: "count",
}
_FLOATS = {
    PODS: "clock touched rate read_rate read_left read_due call_due due",
    FLYING: "since cost",
    CONNECTIONS: "loop_at loop_sent",
    (PODS, LANES_MAX): "finish",
    (NODES, 6): "node",
    9: "total",
    15: "law",
}
STATE = np.dtype(
    [
        *((name, np.int64, size) for size, names in _INTEGERS.items() for name in names.split()),
        *((name, np.float64, size) for size, names in _FLOATS.items() for name in names.split()),
        ("random", np.uint64, 1),
    ]
)
"""Everything that compiled code reads and writes, in one piece of memory, so that it is passed as one pointer.

By pod: `home` is its node, `reading` counts requests its front has not read, `waiting` those it has, `list_head` and
`list_tail` are both lists. `clock` is the work done per call since the pod last was empty, `rate` its speed. By place
in flight: when the request was sent, its cost, the next in its list, its connection (-1: it came at its time).
"""
