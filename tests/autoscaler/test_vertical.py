"""The vertical axis, told as stories on a fake clock: it finds what each model can bear, then it is quiet."""

import itertools
from dataclasses import replace

import pytest
from scaling_story import Story

from headrace.autoscaler.engine import (
    CallCurve,
    Memory,
    Observation,
    PodCounts,
    Profile,
    Utilisation,
    learning,
    model,
    vertical,
)
from headrace.autoscaler.engine.model import Cycle, Line
from headrace.contract.apa import AutoscalerSpec

SPEC = AutoscalerSpec(target="v1")
CURVE = CallCurve(fixed_seconds=0.001, request_seconds=0.0001, requests_max=64, at_once=1.0)


def _learner(story: Story, *, first: int | None = None) -> Story:
    story.limits(min_concurrency=1, max_concurrency=1024, initial_concurrency=first, max_replicas=200)
    return story


def _changes(story: Story) -> list[int]:
    return [
        later.concurrency
        for earlier, later in itertools.pairwise(story.log)
        if earlier.concurrency != later.concurrency
    ]


def test_a_model_bound_by_cores_stays_at_one_request_a_core(story: Story) -> None:
    _learner(story).cores = 4.0
    story.service = lambda executing: 0.015 * max(1.0, executing / 4)
    story.use = lambda executing: Utilisation(cpu=min(1.0, executing / 4), memory=0.3)
    story.run(900, 1000)

    assert story.log[-1].concurrency == 4
    assert _changes(story) == []


def test_an_agent_that_waits_is_given_what_its_memory_bears(story: Story) -> None:
    _learner(story, first=16).cores = 1.0
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
    _learner(story, first=16)
    story.service = lambda _: 2.0
    story.use = lambda executing: replace(seen, cpu=0.0005 * executing, memory=0.1)
    story.run(300, 40)

    first = next(limit for limit in (decision.concurrency for decision in story.log) if limit != 16)
    assert first == 16 * growth


def test_a_batching_model_is_given_its_knee(story: Story) -> None:
    """A step of 8 ms plus 0.5 ms for each request in the batch: most throughput per latency at 16."""
    _learner(story, first=4)
    story.service = lambda executing: 0.2 * (8 + 0.5 * executing) / 8
    story.run(1500, lambda second: 400 + 100 * ((second // 60) % 2))

    assert story.log[-1].concurrency == pytest.approx(16, rel=0.15)


def test_it_is_quiet_when_settled(story: Story) -> None:
    _learner(story, first=4)
    story.service = lambda executing: 0.2 * (8 + 0.5 * executing) / 8
    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))
    story.log.clear()

    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))

    assert _changes(story) == []


def test_a_changed_model_is_learned_anew(story: Story) -> None:
    _learner(story, first=4)
    story.service = lambda executing: 0.2 * (8 + 0.5 * executing) / 8
    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))

    story.service = lambda executing: 0.2 * (8 + 1.6 * executing) / 8  # the knee falls to 5
    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))

    assert story.log[-1].concurrency == pytest.approx(5, abs=1)
    assert any(decision.has(model.RELEARNING) or decision.has(model.CONCURRENCY_DOWN) for decision in story.log)


def test_a_changed_model_with_full_pods_is_not_given_more_requests_first(story: Story) -> None:
    """Its pods are full because it became slow: doubling the limit, as for a new model, made it slower."""
    _learner(story, first=4)
    story.service = lambda executing: 0.2 * (8 + 0.5 * executing) / 8
    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))
    settled = story.log[-1].concurrency
    story.log.clear()

    story.service = lambda executing: 0.2 * (8 + 1.6 * executing) / 8
    story.run(120, 500)

    assert any(decision.has(model.RELEARNING) for decision in story.log)
    assert max(decision.concurrency for decision in story.log) == settled


def test_a_version_starts_from_its_predecessors_profile(story: Story) -> None:
    _learner(story, first=4)
    profile = replace(Memory().profile, concurrency=48, exploring=False)
    story.memory = Memory(profile=profile)

    story.run(1, 100)

    assert story.log[-1].concurrency == 48


def test_a_raised_limit_removes_no_pod_before_the_window_is_over(story: Story) -> None:
    _learner(story, first=4)
    story.service = lambda _: 0.2
    story.begin(7)
    story.run(20, 100)
    while story.decision is None or not story.decision.has(model.CONCURRENCY_UP):
        story.run(1, 100)
    pods_then = story.replicas

    story.run(18, 100)
    assert story.replicas == pods_then
    story.run(10, 100)
    assert story.replicas < pods_then


def test_nothing_is_learned_from_pods_that_idle(story: Story) -> None:
    _learner(story, first=8)
    story.begin(10)
    story.limits(min_replicas=10)
    story.run(600, 10)

    assert _changes(story) == []


def test_a_limit_never_leaves_the_bounds_of_the_spec(story: Story) -> None:
    _learner(story, first=4)
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

    assert vertical.held(SPEC, profile, cycle, current=256, own=256).concurrency == 256


def test_memory_that_fills_lowers_the_limit_and_gives_it_back() -> None:
    profile, cycle = _filling(0.8)

    lowered = vertical.held(SPEC, profile, cycle, current=256, own=256)
    assert lowered.concurrency == 130  # 0.85 of the memory
    assert lowered.reason is not None
    assert lowered.reason.code == model.CONCURRENCY_DOWN

    roomy = replace(lowered.profile, memory=Line())
    raised = vertical.held(SPEC, roomy, Cycle(readings=10, memory=3.0), current=130, own=256)
    assert raised.concurrency == 256
    assert not raised.profile.lowered


def test_what_is_not_known_of_a_runtime_is_begun_with_again_when_it_is() -> None:
    """The first looks come before any scrape: a limit that was only begun with must not stay."""
    early = Observation(taken_at=0.0, load=None, pods=PodCounts(desired=1, ready=1), pod_cores=1.0)

    assert vertical.start(SPEC, Profile(), early) == 1
    assert vertical.start(SPEC, Profile(), replace(early, default_limit=256)) == 256
    assert vertical.start(SPEC, Profile(concurrency=3, calls=CURVE), replace(early, default_limit=256)) == 256
    assert vertical.start(SPEC, Profile(concurrency=3), replace(early, default_limit=256)) == 3  # an engine's, learned
