"""decide(spec, observation, memory, now): one look at one version. Pure; the caller logs, acts and keeps the memory."""

import math
from dataclasses import replace
from typing import NamedTuple

from headrace.autoscaler.engine import (
    belief,
    bursts,
    capacity,
    holding,
    horizontal,
    learning,
    model,
    noise,
    room,
    signals,
    vertical,
    windows,
)
from headrace.autoscaler.engine.capacity import Capacity
from headrace.autoscaler.engine.model import (
    Bucket,
    Cycle,
    Decision,
    Memory,
    Observation,
    Peak,
    Reason,
)
from headrace.contract.apa import AutoscalerSpec


def decide(spec: AutoscalerSpec, observation: Observation, memory: Memory, now: float) -> tuple[Decision, Memory]:
    """What the version should have now, and what to remember.

    Called for every observation (each second); the horizontal axis acts every 5 s and at once when requests queue,
    the vertical every 30 s, and in between the last decision is repeated. `spec` must be sound (`spec.faults()` empty).
    """
    lower, upper, cap_code = bounds(spec)
    current = memory.replicas if memory.replicas is not None else max(0, observation.pods.desired)
    begun = concurrency = vertical.start(spec, memory.profile, observation)
    read = signals.read(observation, memory, now)
    reasons: list[Reason] = []
    inputs: dict[str, float] = {"ready": observation.pods.ready, "current": current}
    held = isinstance(read, Reason)
    wanted = current if held or memory.wanted is None else memory.wanted
    share = memory.target_share
    slots = memory.pod_slots if memory.pod_slots > 0 else float(concurrency)
    after = memory
    if isinstance(read, Reason):
        reasons.append(read)
        after = _rebased(memory, observation, read, now)
    elif isinstance(read, Bucket):
        after = _absorbed(memory, observation, read)
        looked = _vertical(spec, observation, after, now, concurrency)
        after, concurrency = looked.memory, looked.concurrency
        reasons.extend(looked.reasons)
        load = observation.load
        queued = load.queued if load is not None else 0.0
        due = memory.horizontal_at is None or now - memory.horizontal_at >= windows.PERIOD_SECONDS - 1e-6
        due = due or (max(memory.noisy, memory.steady) > 0 and noise.rule_looks(memory, now))
        asked = current == 0 and read.arrived > 0
        looks = due or asked or queued > 0 or observation.wake or bool(looked.reasons)
        if looks or 0 < observation.pods.ready < current:
            sized = _horizontal(spec, observation, after, now, current=current, concurrency=concurrency, looks=looks)
            after = sized.memory
            reasons.extend(sized.reasons)
            inputs |= sized.inputs
            share, slots = sized.share, sized.slots
            if sized.wanted is not None:
                wanted = sized.wanted
    wanted, after, short = room.limited(after, observation.pods, wanted, now)
    if short is not None:
        reasons.insert(0, short)
    if observation.wake and wanted == 0:
        wanted = 1
        reasons.append(Reason(code=model.WOKEN, message="a wake-up call arrived"))
        after = replace(after, last_arrival=now)
    replicas = max(lower, min(upper, wanted))
    reasons.extend(
        _constraints(spec, observation, wanted=wanted, replicas=replicas, cap_code=cap_code, told=short is not None)
    )
    if not reasons:
        reasons.append(Reason(code=model.STEADY, message="between two looks"))
    decision = Decision(
        at=now,
        replicas=replicas,
        concurrency=concurrency,
        target=round(share * slots, 6),
        held=held,
        reasons=tuple(reasons),
        inputs=inputs,
    )
    return decision, replace(
        after,
        replicas=replicas,
        wanted=wanted,
        decided_at=now,
        scaled_at=now if replicas != memory.replicas else memory.scaled_at,
        target_share=share,
        # A limit that was only begun with is begun with again: more may be known of the runtime by then.
        profile=after.profile if concurrency == begun else replace(after.profile, concurrency=concurrency),
    )


def bounds(spec: AutoscalerSpec) -> tuple[int, int, str]:
    """(fewest pods, most pods, reason code of the upper bound). A budget is hard: it lowers the minimum too."""
    upper, code = spec.max_replicas, model.LIMIT_REACHED
    if spec.cost_per_hour is not None and spec.pod_cost_per_hour is not None:
        affordable = math.floor(min(spec.cost_per_hour / spec.pod_cost_per_hour, 1e9) + 1e-9)
        if affordable < upper:
            upper, code = affordable, model.BUDGET_REACHED
    return min(spec.min_replicas, upper), upper, code


def _constraints(
    spec: AutoscalerSpec, observation: Observation, *, wanted: int, replicas: int, cap_code: str, told: bool
) -> list[Reason]:
    """What bounds and pods say; `told`: that some lack room was said already."""
    found = []
    if replicas < wanted:
        limit = "the budget" if cap_code == model.BUDGET_REACHED else "maxReplicas"
        found.append(Reason(code=cap_code, message=f"{wanted} wanted, {limit} allows {replicas}"))
    elif replicas > wanted:
        found.append(Reason(code=model.BOUNDS, message=f"minReplicas = {spec.min_replicas} keeps {replicas}"))
    pods = observation.pods
    if pods.unschedulable > 0 and not told:
        found.append(
            Reason(code=model.CAPACITY_SHORT, message=f"{pods.unschedulable} pods wait for a node that has room")
        )
    if pods.failing > 0:
        found.append(Reason(code=model.PODS_FAILING, message=f"{pods.failing} pods cannot start"))
    return found


def _rebased(memory: Memory, observation: Observation, fault: Reason, now: float) -> Memory:
    """The memory after counters that could not be used."""
    if fault.code in (model.NO_DATA, model.STALE, model.NOT_FINITE, model.NEGATIVE, model.IMPLAUSIBLE):
        return memory
    if fault.code == model.CLOCK_SKEW and (memory.decided_at is None or now >= memory.decided_at - 5.0):
        return memory
    load = observation.load
    if load is None or signals.broken(load) is not None or observation.taken_at > now + signals.SKEW_SECONDS:
        base = replace(memory, load=None, taken_at=None)
    else:
        base = replace(memory, load=load, taken_at=observation.taken_at)
    if fault.code == model.COUNTER_RESET:
        return base
    # First counters, a gap or a clock that jumped: nothing older may be compared with what comes.
    return replace(
        base,
        buckets=(),
        coarse=(),
        peaks=(),
        wishes=(),
        published=(),
        ruled=None,
        ruled_at=None,
        noise=None,
        noisy=0.0,
        moves=False,
        released=(),
        hold_learned_at=0.0,
        misses=0,
        history_start=now,
        horizontal_at=None,
        vertical_at=None,
        last_arrival=None,
        point=Cycle(),
        cycle=Cycle(),
        changed_at=0.0,
        backlog_since=None,
        trial=None,
    )


def _absorbed(memory: Memory, observation: Observation, bucket: Bucket) -> Memory:
    """The memory with one more bucket, and the service time learned from it."""
    buckets = windows.push(memory.buckets, bucket)
    profile = learning.service_time(memory.profile, buckets)
    profile = capacity.learned(profile, observation, seconds=bucket.seconds, completed=bucket.completed)
    surprises = memory.surprises
    point = learning.add(memory.point, bucket, observation)
    if learning.ready_for_point(point, period=windows.PERIOD_SECONDS):
        profile, surprised = learning.learn(profile, point, bucket.executing)
        surprises = surprises + 1 if surprised else 0
        point = Cycle()
    swing, swing_arrived = windows.swing(memory, buckets)
    absorbed = replace(
        memory,
        load=observation.load,
        taken_at=bucket.end,
        buckets=buckets,
        coarse=windows.push_coarse(memory.coarse, bucket),
        profile=profile,
        point=point,
        surprises=surprises,
        swing=swing,
        swing_arrived=swing_arrived,
        cycle=learning.add(memory.cycle, bucket, observation),
        last_arrival=bucket.end if bucket.arrived > 0 else memory.last_arrival,
    )
    return belief.remembered(absorbed, observation, bucket.seconds)


class _Sized(NamedTuple):
    """Result of the horizontal axis."""

    memory: Memory
    wanted: int | None
    """Pods before bounds; None: as before."""
    share: float
    slots: float
    """Of a pod."""
    reasons: tuple[Reason, ...]
    inputs: dict[str, float]


def _horizontal(
    spec: AutoscalerSpec,
    observation: Observation,
    memory: Memory,
    now: float,
    *,
    current: int,
    concurrency: int,
    looks: bool,
) -> _Sized:
    """`looks`: how many pods are wanted is asked anew. Whether pods that start can be taken back is asked each time."""
    queued = observation.load.queued if observation.load is not None else 0.0
    start = horizontal.cold_start(spec, observation)
    hold = holding.seconds(memory, start, now)
    ready = observation.pods.ready
    pod = capacity.at_best(observation, memory.profile, concurrency=concurrency)
    reasons: list[Reason] = []
    memory, crowded = belief.judged(memory, observation, pod, now, start_seconds=start)
    if crowded is not None:
        reasons.append(crowded)
    if not pod.measured:
        pod = replace(pod, seconds=belief.service_seconds(memory, pod.seconds))
    memory = holding.counted_in(memory, pod)
    drains = not pod.measured or belief.drains(memory, now, start)
    demand = horizontal.measure(memory, queued=queued, start_seconds=start, ready=ready, capacity=pod, drains=drains)
    if pod.measured:
        little = belief.LITTLE_SHARE * max(demand.offered, pod.slots)
        memory = belief.waiting(memory, queued * demand.service_seconds > little, now)
    room = ready * pod.slots * (1.0 if pod.measured else demand.share)
    if 0 < room < demand.proven and holding.late_jump(memory.buckets, demand.proven, demand.service_seconds):
        memory = holding.missed(memory, now)
    queues = not (pod.measured or memory.moves)
    memory = noise.ruled(memory, demand.service_seconds, now, queued=queues, current=current, slots=pod.slots)
    if looks:
        memory = noise.learned(memory)
        peak = Peak(at=now, slots=demand.proven / demand.share)
        wish = Peak(at=now, slots=(demand.proven + demand.growth + demand.backlog) / demand.share)
        memory = replace(
            memory,
            peaks=windows.push_peak(memory.peaks, peak, keep_seconds=holding.SECONDS_MAX),
            wishes=windows.push_peak(memory.wishes, wish, keep_seconds=holding.SECONDS_MAX),
            horizontal_at=now,
        )
    situation = horizontal.Situation(
        spec=spec,
        observation=observation,
        memory=memory,
        now=now,
        current=current,
        capacity=pod,
        demand=demand,
        hold=hold,
    )
    decided = horizontal.replicas(situation) if looks else None
    if decided is not None:
        decided, memory = _believed(decided, memory, observation, pod, current=current, now=now)
    tries = pod.measured and memory.trial is not None  # pods on trial stay until they are judged
    taken = horizontal.taken_back(situation) if not tries and (decided is None or decided[0] == current) else None
    found = [each for each in (decided, taken) if each is not None]
    wanted = found[-1][0] if found else None
    if wanted is not None:
        short = demand.proven > current * pod.slots
        memory = holding.learn(memory, now, current=current, wanted=wanted, short=short, start_seconds=start, hold=hold)
    reasons.extend(reason for _, reason in found)
    if looks and not pod.measured and (observation.calls is not None or observation.default_limit is None):
        reasons.append(
            Reason(code=model.GUESSED, message=f"no front tells what a pod can do: guessed from {pod.source}")
        )
    share = demand.share if looks else memory.target_share
    inputs = {
        "rate": demand.rate,
        "service_seconds": demand.service_seconds,
        "offered": demand.offered,
        "growth": demand.growth,
        "backlog": demand.backlog,
        "demand": demand.slots,
        "queued": queued,
        "share": share,
        "hold_seconds": hold,
        "cold_start_seconds": start,
        "pod_slots": pod.slots,
        "pod_rate": pod.rate if pod.rate is not None else 0.0,
    }
    return _Sized(memory, wanted, share, pod.slots, tuple(reasons), inputs)


def _believed(
    decided: tuple[int, Reason], memory: Memory, observation: Observation, pod: Capacity, *, current: int, now: float
) -> tuple[tuple[int, Reason], Memory]:
    """The decision as far as more pods are believed in, and the memory with what is tried."""
    wanted, reason = decided
    if wanted > current > 0:
        wanted, memory, bound = belief.bounded(memory, observation, pod, wanted=wanted, current=current, now=now)
        reason = reason if bound is None else bound
    if wanted > current and not pod.measured and current > 0:
        if now < memory.barred_until:
            crowded = Reason(code=model.CROWDED, message=f"{wanted} would be ordered, but more pods did not help")
            return (current, crowded), memory
        if memory.trial is None:
            memory = replace(memory, trial=belief.begun(memory, observation, now))
    elif wanted <= current and pod.measured:
        tried, memory, trying = belief.tried(memory, observation, current, now)
        if trying is not None:
            return (tried, trying), memory
        if memory.trial is not None:
            return (current, Reason(code=model.HOLDING, message="it is seen whether more pods help")), memory
    return (wanted, reason), memory


class _Look:
    """Result of the vertical axis: memory, hard limit, reasons."""

    __slots__ = ("concurrency", "memory", "reasons")

    def __init__(self, memory: Memory, concurrency: int, reasons: tuple[Reason, ...] = ()) -> None:
        self.memory = memory
        self.concurrency = concurrency
        self.reasons = reasons


def _vertical(spec: AutoscalerSpec, observation: Observation, memory: Memory, now: float, current: int) -> _Look:
    looked_at = memory.vertical_at
    if looked_at is None:
        return _Look(replace(memory, vertical_at=now, cycle=Cycle()), current)
    reasons: list[Reason] = []
    if memory.surprises >= learning.SURPRISES_TO_FORGET and memory.profile.calls is None:
        reasons.append(
            Reason(code=model.RELEARNING, message="service times are not those learned: they are learned anew")
        )
        memory = replace(memory, profile=learning.forget(memory.profile), surprises=0, streak=0)
    if now - looked_at < vertical.PERIOD_SECONDS - 1e-6:
        return _Look(memory, current, tuple(reasons))
    burst = 1.0
    if memory.profile.calls is not None:
        moved = vertical.held(spec, memory.profile, memory.cycle, current=current, own=observation.default_limit)
    else:
        moved = vertical.move(spec, memory.profile, memory.cycle, current=current, streak=memory.streak)
        burst, bursty = bursts.factor(memory, observation, now, limit=current)
        if bursty is not None:
            reasons.append(bursty)
    limit, reason, profile, streak = moved.concurrency, moved.reason, moved.profile, moved.streak
    if reason is not None:
        reasons.insert(0, reason)
    return _Look(
        replace(
            memory,
            vertical_at=now,
            cycle=Cycle(),
            profile=profile,
            streak=streak,
            burst=burst,
            # Fewer pods for a raised limit is a scale-down, and waits as long.
            changed_at=now if limit > current else memory.changed_at,
        ),
        limit,
        tuple(reasons),
    )
