"""What is learned of service times and resources, and when it is learned anew."""

import pytest
from scaling_story import Story

from headrace.autoscaler.engine import reasons


def test_a_changed_model_is_learned_anew(story: Story) -> None:
    story.learns(first=4)
    story.service = lambda executing: 0.2 * (8 + 0.5 * executing) / 8
    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))

    story.service = lambda executing: 0.2 * (8 + 1.6 * executing) / 8  # the knee falls to 5
    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))

    assert story.log[-1].concurrency == pytest.approx(5, abs=1)
    assert any(decision.has(reasons.RELEARNING) or decision.has(reasons.CONCURRENCY_DOWN) for decision in story.log)


def test_a_changed_model_with_full_pods_is_not_given_more_requests_first(story: Story) -> None:
    """Its pods are full because it became slow: doubling the limit, as for a new model, made it slower."""
    story.learns(first=4)
    story.service = lambda executing: 0.2 * (8 + 0.5 * executing) / 8
    story.run(900, lambda second: 400 + 100 * ((second // 60) % 2))
    settled = story.log[-1].concurrency
    story.log.clear()

    story.service = lambda executing: 0.2 * (8 + 1.6 * executing) / 8
    story.run(120, 500)

    assert any(decision.has(reasons.RELEARNING) for decision in story.log)
    assert max(decision.concurrency for decision in story.log) == settled


def test_nothing_is_learned_from_pods_that_idle(story: Story) -> None:
    story.learns(first=8)
    story.begin(10)
    story.limits(min_replicas=10)
    story.run(600, 10)

    assert story.limits_set == []
