"""Bursts within a second get room."""

from scaling_story import Story

from headrace.autoscaler.engine import reasons


def test_a_burst_within_each_second_gets_room_though_the_mean_is_small(story: Story) -> None:
    """knative#15000: ten requests at once each second on one worker look like a tenth of a request on average."""
    story.limits(min_concurrency=1, max_concurrency=1)
    story.service = lambda _: 0.01
    story.run(60, 10)
    for _ in range(900):  # each burst waits 45 ms a request on one pod, less on more
        story.now += 1
        story._serve(10.0)
        waited = sum(max(0, index // story.replicas) for index in range(10)) * 0.01
        load = story._load
        story._load = type(load)(
            arrived=load.arrived,
            completed=load.completed,
            executing_seconds=load.executing_seconds,
            queued_seconds=load.queued_seconds + waited,
            executing=load.executing,
        )
        story.decide(story.observation())

    assert 4 <= story.replicas <= 20
    assert any(decision.has(reasons.BURSTY) for decision in story.log)
