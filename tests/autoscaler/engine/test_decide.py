"""Properties of every decision, whatever goes in."""

import json
import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.autoscaler.engine import (
    CallCurve,
    Decision,
    LoadCounters,
    Memory,
    Observation,
    PodCounts,
    Utilisation,
    bounds,
    decide,
    decode,
    encode,
)
from headrace.contract.apa import AutoscalerSpec

anything = st.floats(allow_nan=True, allow_infinity=True)
plausible = st.floats(0, 1e7)
counters = st.builds(
    LoadCounters,
    arrived=plausible | anything,
    completed=plausible | anything,
    executing_seconds=plausible | anything,
    queued_seconds=plausible | anything,
    queued=plausible | anything,
    executing=plausible | anything,
)
share = st.none() | st.floats(0, 1) | anything
curves = st.builds(
    CallCurve,
    fixed_seconds=st.floats(0, 10) | anything,
    request_seconds=st.floats(0, 10) | anything,
    requests_max=st.floats(1, 256) | anything,
    at_once=st.floats(1, 512) | anything,
    mean_seconds=st.none() | st.floats(0, 10) | anything,
)
observations = st.builds(
    Observation,
    taken_at=st.floats(0, 1000) | anything,
    load=st.none() | counters,
    pods=st.builds(
        PodCounts,
        desired=st.integers(0, 500),
        ready=st.integers(0, 500),
        starting=st.integers(0, 50),
        unschedulable=st.integers(0, 50),
        failing=st.integers(0, 50),
    ),
    utilisation=st.builds(Utilisation, cpu=share, memory=share, gpu=share, gpu_memory=share, tensor=share),
    cold_start_seconds=st.none() | anything,
    pod_cores=st.none() | anything,
    calls=st.none() | curves,
    default_limit=st.none() | st.integers(1, 4096),
    held=st.floats(0, 1e4),
)


@st.composite
def specs(draw: st.DrawFn) -> AutoscalerSpec:
    low, high = sorted((draw(st.integers(0, 50)), draw(st.integers(1, 500))))
    least, most = sorted((draw(st.integers(1, 64)), draw(st.integers(1, 1024))))
    price = draw(st.none() | st.floats(0.01, 100))
    return AutoscalerSpec(
        target="v1",
        min_replicas=low,
        max_replicas=max(1, high),
        min_concurrency=least,
        max_concurrency=most,
        initial_concurrency=draw(st.none() | st.integers(1, 2000)),
        idle_seconds=draw(st.floats(0, 600)),
        cost_per_hour=None if price is None else draw(st.floats(0.01, 100)),
        pod_cost_per_hour=price,
        max_wait_seconds=draw(st.none() | st.floats(0, 600)),
    ).checked("spec")


@settings(max_examples=60, deadline=None)
@given(specs(), st.lists(st.tuples(observations, st.floats(-10, 30)), max_size=8))
def test_bounds_always_hold_and_nothing_raises(spec: AutoscalerSpec, looks: list[tuple[Observation, float]]) -> None:
    memory, now = Memory(), 500.0
    lower, upper, _ = bounds(spec)
    for observation, pause in looks:
        now += pause
        decision, memory = decide(spec, observation, memory, now)

        assert lower <= decision.replicas <= upper
        assert spec.min_concurrency <= decision.concurrency <= spec.max_concurrency
        assert 0 < decision.target <= decision.concurrency
        assert decision.reasons
        assert all(reason.message for reason in decision.reasons)


@settings(max_examples=25, deadline=None)
@given(specs(), st.lists(st.tuples(observations, st.floats(-10, 30)), min_size=1, max_size=5))
def test_everything_survives_json_and_decides_the_same_after(
    spec: AutoscalerSpec, looks: list[tuple[Observation, float]]
) -> None:
    memory, now = Memory(), 500.0
    for observation, pause in looks:
        now += pause
        again = decode(Observation, json.loads(json.dumps(encode(observation), allow_nan=False)))
        remembered = decode(Memory, json.loads(json.dumps(encode(memory), allow_nan=False)))
        read = AutoscalerSpec.from_json(json.loads(json.dumps(spec.to_json())))
        first, after = decide(spec, observation, memory, now)
        second, _ = decide(read, again, remembered, now)

        assert encode(second) == encode(first)
        assert encode(decode(Decision, encode(first))) == encode(first)
        memory = after


@settings(max_examples=15, deadline=None)
@given(st.floats(1, 5000), st.floats(1.0, 4.0), st.floats(0.002, 0.2), st.integers(1, 32))
def test_more_load_never_gets_fewer_pods(rate: float, factor: float, service: float, limit: int) -> None:
    assert _settled(rate * factor, service, limit) >= _settled(rate, service, limit)


def _settled(rate: float, service: float, limit: int) -> int:
    spec = AutoscalerSpec(target="v1", max_replicas=100_000, min_concurrency=limit, max_concurrency=limit)
    memory = Memory()
    decision = None
    for second in range(1, 45):
        total = rate * second
        load = LoadCounters(
            arrived=total,
            completed=total,
            executing_seconds=total * service,
            queued_seconds=0,
            executing=rate * service,
        )
        seen = Observation(taken_at=1000.0 + second, load=load, pods=PodCounts(desired=1, ready=1))
        decision, memory = decide(spec, seen, memory, 1000.0 + second)
    assert decision is not None
    return decision.replicas


@settings(max_examples=40, deadline=None)
@given(specs(), observations)
def test_zero_is_a_value(spec: AutoscalerSpec, observation: Observation) -> None:
    """No pods, no data and nobody who waits: none stays none where the bounds allow it."""
    silent = replace(observation, taken_at=10.0, load=None, held=0.0, pods=PodCounts(desired=0, ready=0))
    spec = replace(spec, max_wait_seconds=None)  # for which a spare pod may be kept
    decision, _ = decide(spec, silent, Memory(), 10.0)
    lower, upper, _ = bounds(spec)

    assert decision.replicas == min(upper, lower)
    assert not math.isnan(decision.target)
