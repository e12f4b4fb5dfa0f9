"""The concurrency limit finds what each model can bear, then it is quiet."""

from dataclasses import replace

import pytest
from scaling_story import Story

from headrace.autoscaler.engine import CallCurve, Learned, Memory, Observation, PodCounts, Profile, Utilisation, reasons
from headrace.autoscaler.engine.memory.cycle import Cycle
from headrace.autoscaler.engine.statistics.least_squares import Sums
from headrace.autoscaler.engine.vertical import learning, limit
from headrace.contract.apa import AutoscalerSpec

SPEC = AutoscalerSpec(target="v1")
CURVE = CallCurve(fixed_seconds=0.001, request_seconds=0.0001, requests_max=64, at_once=1.0)


def test_a_model_bound_by_cores_stays_at_one_request_a_core(story: Story) -> None:
    story.learns().cores = 4.0
    story.service = lambda executing: 0.015 * max(1.0, executing / 4)
    story.use = lambda executing: Utilisation(cpu=min(1.0, executing / 4), memory=0.3)
    story.run(900, 1000)

    assert story.log[-1].concurrency == 4
    assert story.limits_set == []


def test_an_agent_that_waits_is_given_what_its_memory_bears(story: Story) -> None:
    story.learns(first=16).cores = 1.0
    story.service = lambda _: 20.0
    story.use = lambda executing: Utilisation(cpu=0.0015 * executing, memory=0.25 + executing / 512)
    story.run(1500, lambda second: min(60.0, 1 + second / 15))

    assert story.log[-1].concurrency == pytest.approx(307, rel=0.15)


@pytest.mark.parametrize(
    ("seen", "growth"),
    [(Utilisation(), 4), (Utilisation(io_wait=0.5), 2), (Utilisation(memory_bandwidth=0.7), 2)],
    ids=["others", "its disk", "the memory of its GPU"],
)
def test_a_model_with_idle_cores_is_given_less_at_first_where_it_waits_for_its_own_machine(
    story: Story, seen: Utilisation, growth: int
) -> None:
    story.learns(first=16)
    story.service = lambda _: 2.0
    story.use = lambda executing: replace(seen, cpu=0.0005 * executing, memory=0.1)
    story.run(300, 40)

    first = next(limit for limit in (decision.concurrency for decision in story.log) if limit != 16)
    assert first == 16 * growth


def test_a_batching_model_is_given_its_knee(story: Story) -> None:
    """A step of 8 ms plus 0.5 ms for each request in the batch: most throughput per latency at 16."""
    story.learns(first=4)
    story.service = lambda executing: 0.2 * (8 + 0.5 * executing) / 8
    story.run(1500, lambda second: 400 + 100 * ((second // 60) % 2))

    assert story.log[-1].concurrency == pytest.approx(16, rel=0.15)


def test_it_is_quiet_when_settled(story: Story) -> None:
    story.learns(first=4)
    story.service = lambda executing: 0.2 * (8 + 0.5 * executing) / 8
    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))
    story.log.clear()

    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))

    assert story.limits_set == []


def test_a_version_starts_from_its_predecessors_profile(story: Story) -> None:
    story.learns(first=4)
    profile = Profile(concurrency=48, exploring=False)
    story.memory = Memory(learned=Learned(profile=profile))

    story.run(1, 100)

    assert story.log[-1].concurrency == 48


def test_a_raised_limit_removes_no_pod_before_the_window_is_over(story: Story) -> None:
    story.learns(first=4)
    story.service = lambda _: 0.2
    story.begin(7)
    story.run(20, 100)
    while story.decision is None or not story.decision.has(reasons.CONCURRENCY_UP):
        story.run(1, 100)
    pods_then = story.replicas

    story.run(18, 100)
    assert story.replicas == pods_then
    story.run(10, 100)
    assert story.replicas < pods_then


def test_a_limit_never_leaves_the_bounds_of_the_spec(story: Story) -> None:
    story.learns(first=4)
    story.limits(max_concurrency=6)
    story.service = lambda _: 0.2
    story.run(300, 100)

    assert story.log[-1].concurrency == 6


def _filling(share: float) -> tuple[Profile, Cycle]:
    """A profile whose memory was seen to rise by half a hundredth a request, and a cycle that ended with that share."""
    profile = Profile(calls=CURVE)
    for requests in (10.0, 60.0, 110.0, 20.0, 90.0, 40.0) * 4:
        memory = 0.2 + 0.005 * requests
        point = Cycle(
            readings=1, seconds=5.0, completed=100.0, memory=memory, pod_seconds=5.0, executing_seconds=5.0 * requests
        )
        profile, _ = learning.learn(profile, point, 0.0)
    return profile, Cycle(readings=10, memory=10 * share)


def test_a_runtime_that_guards_itself_keeps_its_own_limit_while_memory_has_room() -> None:
    profile, cycle = _filling(0.4)

    assert limit.runtime_limit(SPEC, profile, cycle, current=256, own=256).concurrency == 256


def test_memory_that_fills_lowers_the_limit_and_gives_it_back() -> None:
    profile, cycle = _filling(0.8)

    lowered = limit.runtime_limit(SPEC, profile, cycle, current=256, own=256)
    assert lowered.concurrency == 130  # 0.85 of the memory
    assert lowered.reason is not None
    assert lowered.reason.code == reasons.CONCURRENCY_DOWN

    roomy = replace(lowered.profile, memory=Sums())
    raised = limit.runtime_limit(SPEC, roomy, Cycle(readings=10, memory=3.0), current=130, own=256)
    assert raised.concurrency == 256
    assert not raised.profile.lowered


def test_what_is_not_known_of_a_runtime_is_begun_with_again_when_it_is() -> None:
    """The first looks come before any scrape: a limit that was only begun with must not stay."""
    early = Observation(taken_at=0.0, load=None, pods=PodCounts(desired=1, ready=1), pod_cores=1.0)

    assert limit.start(SPEC, Profile(), early) == 1
    assert limit.start(SPEC, Profile(), replace(early, default_limit=256)) == 256
    assert limit.start(SPEC, Profile(concurrency=3, calls=CURVE), replace(early, default_limit=256)) == 256
    assert limit.start(SPEC, Profile(concurrency=3), replace(early, default_limit=256)) == 3  # an engine's, learned
