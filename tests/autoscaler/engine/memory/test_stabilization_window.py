"""How long a need is remembered, and what pods that were missed teach."""

import pytest
from scaling_story import Story

from headrace.autoscaler.engine.memory.stabilization_window import Release, StabilizationWindow

NOTHING = StabilizationWindow()


def decided(
    window: StabilizationWindow, now: float, current: int, wanted: int, *, short: bool = True
) -> StabilizationWindow:
    """The window after a decision; a pod takes 10 s to start."""
    seconds = window.seconds(10.0, now)
    return window.after_decision(now, current=current, wanted=wanted, short=short, start_seconds=10.0, seconds=seconds)


def test_a_need_is_remembered_for_two_cold_starts_between_twenty_seconds_and_five_minutes() -> None:
    assert [NOTHING.seconds(start, 1000.0) for start in (2.0, 30.0, 1000.0)] == [20.0, 60.0, 300.0]


def test_pods_that_are_missed_teach_a_window_that_would_have_kept_them() -> None:
    window = decided(NOTHING, 1000.0, 10, 4)
    window = decided(window, 1100.0, 4, 10)

    assert window.seconds(10.0, 1100.0) == pytest.approx(1.1 * (20.0 + 100.0))


def test_a_lesson_fades_when_it_is_not_taught_again() -> None:
    window = StabilizationWindow(learned_seconds=200.0, learned_at=1000.0)

    assert window.seconds(10.0, 1000.0 + 3599.0) == 200.0
    assert window.seconds(10.0, 1000.0 + 3601.0) == 20.0


def test_a_load_that_returns_gently_or_after_long_teaches_nothing() -> None:
    gone = decided(NOTHING, 1000.0, 10, 4)

    assert decided(gone, 1060.0, 4, 10, short=False).learned_seconds == 0.0
    assert decided(gone, 1400.0, 4, 10).learned_seconds == 0.0


def test_pods_that_are_wanted_back_sooner_than_they_start_would_have_been_cheaper_to_keep() -> None:
    gone = decided(NOTHING, 1000.0, 10, 4)

    assert decided(gone, 1008.0, 4, 5, short=False).learned_seconds == pytest.approx(1.1 * (20.0 + 8.0))


def test_the_last_fleet_that_was_large_enough_is_the_one_that_was_missed() -> None:
    window = StabilizationWindow(releases=(Release(at=1000.0, pods=20), Release(at=1090.0, pods=6)))

    assert decided(window, 1100.0, 4, 5).learned_seconds == pytest.approx(1.1 * (20.0 + 10.0))
    assert decided(window, 1100.0, 4, 15).learned_seconds == pytest.approx(1.1 * (20.0 + 100.0))


def test_a_spike_every_four_minutes_finds_its_pods_the_third_time(story: Story) -> None:
    story.begin(3)

    def spikes(second: int) -> float:
        return 1600.0 if second % 240 >= 220 else 100.0

    story.run(480, spikes)
    kept = []
    for second in range(480, 1200):
        story.run(1, spikes(second))
        kept.append((second % 240, story.ready))

    assert all(ready * 4 >= 1600 * 0.05 for phase, ready in kept if phase == 220)


def test_cuts_that_would_follow_each_other_are_made_at_once(story: Story) -> None:
    story.begin(30)
    story.run(60, 2000)
    story.log.clear()

    story.run(20, lambda second: 2000 - 95 * second)
    story.run(100, 100)

    assert story.replicas <= 3
    assert story.actions <= 3


def test_pods_ordered_for_a_backlog_are_kept_as_long_as_those_ordered_for_load(story: Story) -> None:
    """They cost a cold start like any other, and what rose once may rise again while they are there."""
    story.cold_start = 20.0
    story.begin(3)
    story.run(60, 100)
    story.run(30, 600)
    ordered = story.replicas

    story.run(20, 600)
    assert ordered * 4 > 600 * 0.05 * 1.5  # more than the load alone fills
    assert story.replicas == ordered
    story.run(60, 600)
    assert story.replicas < ordered


def test_jumps_within_five_minutes_are_one_miss_and_two_misses_are_regretted_for_an_hour() -> None:
    window = NOTHING
    for now in (1000.0, 1290.0, 1580.0):
        window = window.after_miss(now)
    assert not window.regrets(1580.0)

    window = window.after_miss(1900.0)

    assert window.regrets(1900.0 + 3599.0)
    assert not window.regrets(1900.0 + 3601.0)


def test_misses_an_hour_apart_have_nothing_to_do_with_each_other() -> None:
    window = NOTHING.after_miss(1000.0).after_miss(1000.0 + 3601.0)

    assert window.misses == 1


def jumps(second: int) -> float:
    """Twice past all pods, six minutes apart, and a minute after the second time more than three times as high."""
    if second in range(600, 640):
        return 1000.0
    return 290.0 if second in range(180, 220) or second in range(540, 600) else 60.0


def test_a_load_that_jumped_twice_past_its_pods_is_met_the_third_time_however_high(story: Story) -> None:
    story.cold_start = 20.0
    story.begin(1)
    for second in range(600):
        story.run(1, jumps(second))
        if second == 530:
            assert story.ready * 4 < 290 * 0.05  # after one jump the pods go as they always do

    assert story.memory.history.window.regrets(story.now)
    assert story.ready * 4 >= 1000 * 0.05
    for second in range(600, 1000):
        story.run(1, jumps(second))
        assert story.queue == 0
    assert story.replicas == story.memory.history.published.pods == 2  # five minutes after the last jump


def test_one_step_teaches_nothing_of_the_next(story: Story) -> None:
    story.begin(1)
    story.run(100, 10)
    story.run(100, 10_000)
    story.run(100, 10)

    assert story.memory.history.window.misses == 1
    assert story.replicas == 1
