"""The data plane with pods as they are: merged calls, a front, nodes whose cores are shared. Compiled by numba.

A request passes the proxies, is sent to the less busy of two random ready pods (or to any that admits it; else it
waits in the balancer or is refused), is read by the pod's front, which takes CPU, and waits until a lane is free. A
free lane takes what waits: a call of requests with costs c is `fixed + each * sum(c)` of work. Of a call's work a part
is CPU (`computes`), the rest is waiting. What runs in a pod shares its CPU limit; what runs on a node shares the node's
cores, in proportion, looked at every QUANTUM. Requests come at given times, or from connections that send when they
have their answer.

Pods that do not merge, have no front and are alone on their cores are those of dataplane, number for number.
"""

from types import SimpleNamespace

import numpy as np

from bench.autoscaler import podevents
from bench.autoscaler.dataplane import DRAINING, SERVING, Floats, Integers, _leave, _remove
from bench.autoscaler.podstate import (
    CAPACITY,
    EXECUTING,
    FAILED,
    FLYING,
    FREE,
    INSIDE,
    NOW,
    QUEUED,
    READY,
    SHARE,
    STATE,
    USED_NODES,
    USED_PODS,
)  # fmt: skip


class PodPlane:
    """State of one run. Times in virtual seconds from the start of the run."""

    def __init__(self, *, arrivals: Floats, costs: Floats, nodes: int, cores: float, seed: int = 1) -> None:
        """`costs` are used in turn, by the number of the request; `cores` of each node may be infinite."""
        self._memory = np.zeros(1, STATE)
        self.arrays = arrays = SimpleNamespace(**{name: self._memory[name][0] for name in STATE.fields or ()})
        self._arrivals, self._costs = arrivals, costs
        arrays.node[:, CAPACITY], arrays.node[:, SHARE] = cores, 1.0
        arrays.rate[:] = arrays.read_rate[:] = 1.0
        for array in (arrays.read_due, arrays.call_due, arrays.due, arrays.loop_at):
            array[:] = np.inf
        for array in (arrays.place, arrays.where, arrays.list_head, arrays.list_tail, arrays.loop_place):
            array[:] = -1
        arrays.free[:] = np.arange(FLYING)
        arrays.random[0] = seed * 2654435761 + 88172645463325252
        arrays.count[FREE], arrays.count[USED_NODES] = FLYING, nodes

    def advance(self, until: float) -> None:
        """Runs to `until`, by what `law` says now."""
        podevents.advance(until, self._memory, self._arrivals, self._costs)

    def serve(self, pod: int, home: int) -> None:
        """The pod becomes ready on that node."""
        arrays, count = self.arrays, self.arrays.count
        arrays.state[pod], arrays.home[pod] = SERVING, home
        count[USED_PODS] = max(count[USED_PODS], pod + 1)
        arrays.touched[pod], arrays.clock[pod] = arrays.total[NOW], 0.0
        arrays.ready[count[READY]] = pod
        arrays.where[pod] = count[READY]
        count[READY] += 1

    def drain(self, pod: int) -> None:
        """The pod takes nothing new."""
        arrays = self.arrays
        _leave(pod, arrays.ready, arrays.where, arrays.count)
        arrays.state[pod] = DRAINING

    def kill(self, pod: int) -> int:
        """The pod is gone at once; returns the requests lost with it. Connections that waited for them end."""
        arrays, count = self.arrays, self.arrays.count
        lost = int(arrays.inside[pod])
        if arrays.state[pod] == SERVING:
            _leave(pod, arrays.ready, arrays.where, count)
        _remove(pod, arrays.heap, arrays.place, arrays.due, count)
        count[EXECUTING] -= arrays.executing[pod]
        count[INSIDE] -= lost
        count[FAILED] += lost
        for array in (arrays.inside, arrays.running, arrays.executing, arrays.waiting, arrays.reading, arrays.state):
            array[pod] = 0
        arrays.list_head[pod] = arrays.list_tail[pod] = -1
        return lost

    def connect(self, connections: range, at: float) -> None:
        """These connections send their first requests then."""
        podevents.connect(connections.start, connections.stop, at, self._memory)

    def hang_up(self, connections: range) -> None:
        """These connections send no more; what they wait for is answered."""
        self.arrays.loop_live[connections.start : connections.stop] = 0

    def scalar(self, column: int) -> int:
        """An integer of `count`."""
        return int(self.arrays.count[column])

    @property
    def queued(self) -> int:
        """Requests that wait: in the balancer, or in a pod for a lane."""
        return self.scalar(QUEUED) + self.scalar(INSIDE) - self.scalar(EXECUTING)

    def least_busy(self, number: int) -> list[int]:
        """Ready pods with the fewest requests: those that a scale-down takes first."""
        ready = self.arrays.ready[: self.scalar(READY)]
        order = np.argsort(self.arrays.inside[ready], kind="stable")
        return [int(pod) for pod in ready[order[:number]]]


def latency_quantile(latencies: Integers, share: float) -> float:
    """Seconds below which that share of the answers came: the upper edge of a bin."""
    total = latencies.sum()
    if total == 0:
        return 0.0
    return float(1e-5 * 10 ** (int(np.searchsorted(np.cumsum(latencies), share * total)) / 50))
