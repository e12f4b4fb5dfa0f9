"""What of the memory outlives what."""

from dataclasses import fields, replace

import pytest
from scaling_story import Story

from headrace.autoscaler.engine import History, Memory, reasons


def test_a_gap_begins_the_history_anew_and_leaves_what_was_learned(story: Story) -> None:
    story.begin(5)
    story.run(200, 200)
    learned, last = story.memory.learned, story.memory.last

    story.now += 120
    story.run(1, 200)

    assert story.decision is not None
    assert story.decision.has(reasons.GAP)
    assert story.memory.history == History(begun_at=story.now, taken_at=story.now, counters=story.observation().load)
    assert story.memory.learned == learned
    assert story.memory.last == replace(last, decided_at=story.now)


def test_a_restarted_source_leaves_the_history_too(story: Story) -> None:
    story.begin(5)
    story.run(200, 200)
    before = story.memory.history
    story._load = replace(story._load, arrived=0.0, completed=0.0, executing_seconds=0.0, queued_seconds=0.0)

    story.run(1, 200)

    after = story.memory.history
    assert after == replace(before, counters=after.counters, taken_at=after.taken_at)
    assert after.counters == story.observation().load


def test_a_lost_reading_leaves_all_of_it(story: Story) -> None:
    story.begin(5)
    story.run(60, 200)
    before = story.memory
    story.now += 1

    story.decide(replace(story.observation(), load=None))

    assert story.memory == replace(before, last=replace(before.last, decided_at=story.now))


@pytest.mark.parametrize("part", ["history", "learned", "last"])
def test_each_part_is_small_enough_to_be_read(part: str) -> None:
    assert len(fields(getattr(Memory(), part))) <= 20
