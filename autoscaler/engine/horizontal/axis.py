"""The horizontal axis: what one look does to the number of pods."""

from dataclasses import dataclass, replace

from headrace.autoscaler.engine.horizontal import capacity, demand, replicas, trials
from headrace.autoscaler.engine.horizontal.capacity import Capacity
from headrace.autoscaler.engine.horizontal.demand import Demand
from headrace.autoscaler.engine.horizontal.replicas import Situation
from headrace.autoscaler.engine.memory import load_pattern
from headrace.autoscaler.engine.memory.memory import Memory
from headrace.autoscaler.engine.memory.stabilization_window import has_jumped
from headrace.autoscaler.engine.observation import Observation
from headrace.autoscaler.engine.reasons import GUESSED, Reason
from headrace.autoscaler.engine.statistics import sliding_maximum
from headrace.autoscaler.engine.statistics.sliding_maximum import Peak, Peaks
from headrace.autoscaler.engine.windows import SCALE_DOWN_SECONDS_MAX
from headrace.contract.apa import AutoscalerSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class HorizontalLook:
    memory: Memory
    wanted: int | None
    """Pods before bounds; None: as before."""
    reasons: tuple[Reason, ...]
    inputs: dict[str, float]
    """The numbers behind it: `share`, soft target over hard limit, and `pod_slots` of one pod among them."""


def look(
    spec: AutoscalerSpec, observation: Observation, memory: Memory, now: float, *, current: int, limit: int, sizes: bool
) -> HorizontalLook:
    """`sizes`: how many pods are wanted is asked anew. Whether pods that start can be taken back is asked each time."""
    start, ready, queued = replicas.cold_start(spec, observation), observation.pods.ready, observation.queued
    window_seconds = memory.history.window.seconds(start, now)
    pod = capacity.at_best(observation, memory.learned.profile, concurrency=limit)
    memory, crowded = trials.judged(memory, observation, pod, now, start_seconds=start)
    if not pod.measured:
        pod = replace(pod, seconds=trials.believed_seconds(pod.seconds, memory.history.trial))
    memory = _counted_in(memory, pod)
    drains = not pod.measured or trials.drains(memory, now, start)
    asked = demand.measured(memory, queued=queued, start_seconds=start, ready=ready, capacity=pod, drains=drains)
    memory = _noted(memory, asked, pod, now, queued=queued, ready=ready, current=current, sizes=sizes)
    situation = Situation(
        spec=spec,
        observation=observation,
        memory=memory,
        now=now,
        current=current,
        capacity=pod,
        demand=asked,
        window_seconds=window_seconds,
    )
    sized = replicas.wanted_pods(situation) if sizes else None
    if sized is not None:
        sized, memory = _believed(sized, memory, observation, pod, current=current, now=now)
    on_trial = pod.measured and memory.history.trial is not None  # pods on trial stay until they are judged
    taken = replicas.taken_back(situation) if not on_trial and (sized is None or sized[0] == current) else None
    found = [each for each in (sized, taken) if each is not None]
    wanted = found[-1][0] if found else None
    if wanted is not None:
        short, window = asked.proven > current * pod.slots, memory.history.window
        window = window.after_decision(
            now, current=current, wanted=wanted, short=short, start_seconds=start, seconds=window_seconds
        )
        memory = memory.with_history(window=window)
    causes = [reason for reason in (crowded, *(reason for _, reason in found)) if reason is not None]
    if sizes and not pod.measured and (observation.calls is not None or observation.default_limit is None):
        causes.append(Reason(GUESSED, f"no front tells what a pod can do: guessed from {pod.source}"))
    inputs = {
        "rate": asked.rate,
        "service_seconds": asked.service_seconds,
        "offered": asked.offered,
        "growth": asked.growth,
        "backlog": asked.backlog,
        "demand": asked.slots,
        "queued": queued,
        "share": asked.share if sizes else memory.last.target_share,
        "hold_seconds": window_seconds,
        "cold_start_seconds": start,
        "pod_slots": pod.slots,
        "pod_rate": pod.rate if pod.rate is not None else 0.0,
    }
    return HorizontalLook(memory=memory, wanted=wanted, reasons=tuple(causes), inputs=inputs)


def _counted_in(memory: Memory, pod: Capacity) -> Memory:
    """The memory with needs counted in slots of this pod: what is remembered of pods that were measured another way is
    as many pods."""
    before, slots = memory.last.pod_slots, pod.slots if pod.measured else 0.0
    if before == slots:
        return memory
    factor = slots / before if before > 0 and slots > 0 else 0.0

    def counted(peaks: Peaks) -> Peaks:
        return sliding_maximum.scaled(peaks, factor) if factor > 0 else ()

    history = memory.history
    published = replace(history.published, peaks=counted(history.published.peaks))
    needs, desired_peaks = counted(history.needs), counted(history.desired_peaks)
    memory = memory.with_history(needs=needs, desired_peaks=desired_peaks, published=published)
    return replace(memory, last=replace(memory.last, pod_slots=slots))


def _noted(
    memory: Memory, asked: Demand, pod: Capacity, now: float, *, queued: float, ready: int, current: int, sizes: bool
) -> Memory:
    """The memory after this demand: since when something waits, whether pods were missed, the published rule's count,
    and where a look `sizes`, what kind of load it is and how much it needed."""
    history, steady = memory.history, memory.learned.steady
    since = history.backlog_since
    if pod.measured:
        little = trials.BACKLOG_SHARE * max(asked.offered, pod.slots)
        waits = queued * asked.service_seconds > little
        since = (now if since is None else since) if waits else None
    room = ready * pod.slots * (1.0 if pod.measured else asked.share)
    window = history.window
    if 0 < room < asked.proven and has_jumped(history.buckets, asked.proven, asked.service_seconds):
        window = window.after_miss(now)
    published = history.published.after(
        history.buckets,
        asked.service_seconds,
        now,
        begun_at=history.begun_at,
        comparable_since=max(history.begun_at if history.begun_at is not None else now, history.limit_raised_at),
        queued=not (pod.measured or history.noise.moves),
        current=current,
        slots=pod.slots,
    )
    history = replace(history, backlog_since=since, window=window, published=published)
    if not sizes:
        return replace(memory, history=history)
    noise, steady = load_pattern.classified(history.noise, steady, history.buckets, history.stretches)

    def with_peak(peaks: Peaks, slots: float) -> Peaks:
        peak = Peak(at=now, slots=slots / asked.share)
        return sliding_maximum.push(peaks, peak, keep_seconds=SCALE_DOWN_SECONDS_MAX)

    history = replace(
        history,
        noise=noise,
        needs=with_peak(history.needs, asked.proven),
        desired_peaks=with_peak(history.desired_peaks, asked.desired),
        horizontal_at=now,
    )
    return replace(memory, history=history, learned=replace(memory.learned, steady=steady))


def _believed(
    sized: tuple[int, Reason], memory: Memory, observation: Observation, pod: Capacity, *, current: int, now: float
) -> tuple[tuple[int, Reason], Memory]:
    """The decision as far as more pods are believed in, and the memory with what is tried."""
    wanted, reason = sized
    if wanted > current > 0:
        wanted, memory, bound = trials.bounded(memory, observation, pod, wanted=wanted, current=current, now=now)
        reason = reason if bound is None else bound
    if wanted > current and not pod.measured and current > 0:
        if now < memory.learned.barred_until:
            return (current, trials.barred_reason(wanted)), memory
        if memory.history.trial is None:
            memory = memory.with_history(trial=trials.begun(memory, observation, now))
    elif wanted <= current and pod.measured:
        tried, memory, trying = trials.with_more(memory, observation, current, now)
        if trying is not None:
            return (tried, trying), memory
        if memory.history.trial is not None:
            return (current, trials.WAITING), memory
    return (wanted, reason), memory
