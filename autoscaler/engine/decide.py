"""decide(spec, observation, memory, now): one look at one version. Pure; the caller logs, acts and keeps the memory."""

import math
from dataclasses import dataclass, replace
from typing import Final

from headrace.autoscaler.engine import reasons, signals
from headrace.autoscaler.engine.horizontal import axis as horizontal
from headrace.autoscaler.engine.horizontal import bursts, capacity, trials
from headrace.autoscaler.engine.horizontal.replicas import cold_start
from headrace.autoscaler.engine.memory.cycle import Cycle
from headrace.autoscaler.engine.memory.memory import History, Last, Memory
from headrace.autoscaler.engine.observation import Observation
from headrace.autoscaler.engine.reasons import Reason
from headrace.autoscaler.engine.statistics import buckets as bucketed
from headrace.autoscaler.engine.statistics.buckets import Bucket
from headrace.autoscaler.engine.vertical import axis as vertical
from headrace.autoscaler.engine.vertical import learning, limit
from headrace.autoscaler.engine.windows import HORIZONTAL_PERIOD_SECONDS
from headrace.contract.apa import AutoscalerSpec

_BOUND_WORDS: Final = {
    reasons.LIMIT_REACHED: "maxReplicas",
    reasons.BUDGET_REACHED: "the budget",
    reasons.STOPPED: "a stopped endpoint",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the version should have, and why."""

    at: float
    replicas: int
    concurrency: int
    """Hard limit: requests admitted to one pod at once."""
    target: float
    """Soft target: requests per pod that the replicas are sized for; `replicas = ceil(demand / target)`."""
    held: bool
    """True when the signals could not be trusted and the last decision stands."""
    reasons: tuple[Reason, ...]
    inputs: dict[str, float]
    """The numbers behind it, by name."""

    def has(self, code: str) -> bool:
        """Whether a reason of this code is among the reasons."""
        return self.first(code) is not None

    def first(self, *codes: str) -> Reason | None:
        """The reason of the first of these codes that is among the reasons."""
        return next((reason for code in codes for reason in self.reasons if reason.code == code), None)


def decide(spec: AutoscalerSpec, observation: Observation, memory: Memory, now: float) -> tuple[Decision, Memory]:
    """What the version should have now, and what to remember.

    Called for every observation (each second); the horizontal axis acts every 5 s and at once when requests queue,
    the vertical every 30 s, and in between the last decision is repeated. `spec` must be sound (`spec.faults()` empty).
    """
    last, pods = memory.last, observation.pods
    current = last.replicas if last.replicas is not None else max(0, pods.desired)
    begun = concurrency = limit.start(spec, memory.learned.profile, observation)
    wanted = current if last.wanted is None else last.wanted
    share, slots = last.target_share, last.pod_slots if last.pod_slots > 0 else float(concurrency)
    causes: list[Reason] = []
    inputs: dict[str, float] = {"ready": pods.ready, "current": current}
    read = signals.read(observation, memory, now)
    if isinstance(read, Reason):
        causes.append(read)
        wanted = current
        memory = _after_fault(memory, observation, read, now)
    elif read is not None:
        due = _is_due(memory, now) or (current == 0 and read.arrived > 0) or observation.queued > 0
        looked = vertical.look(spec, observation, _absorbed(memory, observation, read), now, current=concurrency)
        memory, causes = looked.memory, list(looked.reasons)
        if looked.cycle is not None:
            burst, bursty = bursts.factor(memory, looked.cycle, observation, now, limit=concurrency)
            memory = memory.with_learned(burst=burst)
            causes += [bursty] if bursty is not None else []
        concurrency = looked.limit
        sizes = due or bool(causes)
        if sizes or 0 < pods.ready < current:
            sized = horizontal.look(spec, observation, memory, now, current=current, limit=concurrency, sizes=sizes)
            memory, wanted = sized.memory, wanted if sized.wanted is None else sized.wanted
            causes.extend(sized.reasons)
            inputs |= sized.inputs
            share, slots = inputs["share"], inputs["pod_slots"]
    woken = current == 0 and wanted == 0 and observation.held > 0
    if woken:
        # Whether or not there are counters: that requests wait is known without them.
        wanted, message = 1, f"{observation.held:.0f} requests wait for a first pod"
        causes = [Reason(reasons.WOKEN, message)]
    placement = memory.learned.placement.after(pods, now)
    wanted, short = placement.limited(wanted)
    replicas, bound = _bounded(spec, wanted, start_seconds=cold_start(spec, observation))
    told = [short, *causes, bound, *_of_pods(observation, told=short is not None)]
    causes = [reason for reason in told if reason is not None] or [Reason(reasons.STEADY, "between two looks")]
    decision = Decision(
        at=now,
        replicas=replicas,
        concurrency=concurrency,
        target=round(share * slots, 6),
        held=isinstance(read, Reason) and not woken,
        reasons=tuple(causes),
        inputs=inputs,
    )
    profile = memory.learned.profile
    if concurrency != begun:
        # A limit that was only begun with is begun with again: more may be known of the runtime by then.
        profile = replace(profile, concurrency=concurrency)
    return decision, Memory(
        history=memory.history,
        learned=replace(memory.learned, placement=placement, profile=profile),
        last=Last(
            decided_at=now,
            scaled_at=now if replicas != last.replicas else last.scaled_at,
            replicas=replicas,
            wanted=wanted,
            target_share=share,
            pod_slots=memory.last.pod_slots,
        ),
    )


def _is_due(memory: Memory, now: float) -> bool:
    """Whether the number of pods is to be looked at: a period has passed, or the published rule looks and decides."""
    history = memory.history
    if history.horizontal_at is None or now - history.horizontal_at >= HORIZONTAL_PERIOD_SECONDS - 1e-6:
        return True
    ruled = max(history.noise.height, memory.learned.steady.rate) > 0
    return ruled and history.published.is_due(history.begun_at, now)


def bounds(spec: AutoscalerSpec) -> tuple[int, int, str]:
    """(fewest pods, most pods, reason code of the upper bound). A budget is hard: it lowers the minimum too."""
    if spec.stopped:
        return 0, 0, reasons.STOPPED
    upper, code = spec.max_replicas, reasons.LIMIT_REACHED
    if spec.cost_per_hour is not None and spec.pod_cost_per_hour is not None:
        affordable = math.floor(min(spec.cost_per_hour / spec.pod_cost_per_hour, 1e9) + 1e-9)
        if affordable < upper:
            upper, code = affordable, reasons.BUDGET_REACHED
    return min(spec.min_replicas, upper), upper, code


def _bounded(spec: AutoscalerSpec, wanted: int, *, start_seconds: float) -> tuple[int, Reason | None]:
    """(pods within the bounds, the bound that was met). A version that would start too slowly does not sleep."""
    lower, upper, code = bounds(spec)
    longest = spec.max_wait_seconds
    if longest is not None and start_seconds > longest and wanted == lower == 0 < upper:
        message = f"a start takes {start_seconds:.1f} s, and maxWaitSeconds = {longest:g}: one pod is kept"
        return 1, Reason(reasons.SPARE_KEPT, message)
    replicas = max(lower, min(upper, wanted))
    if replicas < wanted:
        bound = _BOUND_WORDS[code]
        return replicas, Reason(code, f"{wanted} wanted, {bound} allows {replicas}")
    if replicas > wanted:
        return replicas, Reason(reasons.BOUNDS, f"minReplicas = {spec.min_replicas} keeps {replicas}")
    return replicas, None


def _of_pods(observation: Observation, *, told: bool) -> list[Reason]:
    """What pods say that do not serve; `told`: that some lack room was said already."""
    pods, found = observation.pods, []
    if pods.unschedulable > 0 and not told:
        found.append(Reason(reasons.CAPACITY_SHORT, f"{pods.unschedulable} pods wait for a node that has room"))
    if pods.failing > 0:
        found.append(Reason(reasons.PODS_FAILING, f"{pods.failing} pods cannot start"))
    return found


def _after_fault(memory: Memory, observation: Observation, fault: Reason, now: float) -> Memory:
    """The memory after counters that could not be used. One bad reading costs one interval; nothing older may be
    compared with what comes after first counters, a gap or a clock that jumped: the history begins anew."""
    if fault.code in (reasons.NO_DATA, reasons.STALE, reasons.NOT_FINITE, reasons.NEGATIVE, reasons.IMPLAUSIBLE):
        return memory
    decided_at, load = memory.last.decided_at, observation.load
    if fault.code == reasons.CLOCK_SKEW and (decided_at is None or now >= decided_at - signals.SKEW_SECONDS):
        return memory
    usable = load is not None and signals.broken(load) is None
    usable = usable and observation.taken_at <= now + signals.SKEW_SECONDS
    base = {"counters": load, "taken_at": observation.taken_at} if usable else {"counters": None, "taken_at": None}
    if fault.code == reasons.COUNTER_RESET:
        return memory.with_history(**base)
    return replace(memory, history=replace(History(begun_at=now), **base))


def _absorbed(memory: Memory, observation: Observation, bucket: Bucket) -> Memory:
    """The memory with one more bucket, and what it teaches."""
    history, learned, ready = memory.history, memory.learned, observation.pods.ready
    buckets = bucketed.push(history.buckets, bucket)
    profile = learning.service_time(learned.profile, buckets)
    profile = capacity.learned(profile, observation, seconds=bucket.seconds, completed=bucket.completed)
    surprises, point = learned.surprises, history.point.with_bucket(bucket, observation)
    if learning.is_enough(point):
        profile, surprised = learning.learn(profile, point, bucket.executing)
        surprises = surprises + 1 if surprised else 0
        point = Cycle()
    settled = bucket.end - memory.last.scaled_at >= trials.SETTLED_SECONDS
    return Memory(
        history=replace(
            history,
            counters=observation.load,
            taken_at=bucket.end,
            buckets=buckets,
            stretches=bucketed.push_stretch(history.stretches, bucket),
            last_arrival=bucket.end if bucket.arrived > 0 else history.last_arrival,
            point=point,
            cycle=history.cycle.with_bucket(bucket, observation),
        ),
        learned=replace(
            learned,
            profile=trials.with_best_rates(profile, buckets, ready=ready, seconds=bucket.seconds, settled=settled),
            surprises=surprises,
            variability=learned.variability.after(buckets),
        ),
        last=memory.last,
    )
