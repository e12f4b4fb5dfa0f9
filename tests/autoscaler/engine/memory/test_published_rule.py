"""The published rule beside the engine."""

from arrivals import white
from scaling_story import Story

from headrace.autoscaler.engine import reasons


def test_low_noise_is_served_with_fewer_pods_than_the_rule_has_or_as_many(story: Story) -> None:
    story.begin(18)
    story.run(600, white(0.05))

    assert not any(story.with_reason(reasons.NOISY)[200:])
    assert story.memory.history.published.pods is not None
    assert 1000 * 0.05 / 4 < story.replicas <= story.memory.history.published.pods


def test_a_small_fleet_has_the_pods_of_the_rule_and_no_more(story: Story) -> None:
    story.begin(2)
    story.run(600, white(0.02, mean=100.0))

    assert story.replicas == 2  # 5 at once over 2.8 a pod
