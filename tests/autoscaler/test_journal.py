"""The journal holds every look, and costs nothing when it cannot be written."""

import json
from pathlib import Path

import pytest
from scaling_story import Story

from headrace.autoscaler import journal
from headrace.autoscaler.engine import Decision, Memory, Observation, decide, decode, encode

KEY = ("endpoint-fraud", "v1")


def test_every_look_is_a_line_with_what_went_in_and_what_came_out(recorded: Path, story: Story) -> None:
    lines = [json.loads(line) for line in recorded.read_text().splitlines()]

    assert len(lines) == len(story.log) == 200
    assert {line["key"] for line in lines} == {"endpoint-fraud/v1"}
    assert [decode(Decision, line["decision"]) for line in lines] == story.log
    assert decode(Observation, lines[-1]["observation"]) == story.seen


def test_a_journal_begins_with_a_memory_and_repeats_it_now_and_then(tmp_path: Path, story: Story) -> None:
    path = tmp_path / "journal.jsonl"
    writer = journal.Journal(str(path))
    decision, _ = decide(story.spec, story.observation(), Memory(), story.now)
    for _ in range(journal.MEMORY_EVERY + 1):
        writer.write(KEY, story.spec, story.observation(), Memory(), decision)
    writer.close()

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [number for number, line in enumerate(lines) if "memory" in line] == [0, journal.MEMORY_EVERY]
    assert lines[0]["memory"] == encode(Memory())


def test_a_full_file_is_put_aside_and_the_new_one_begins_with_a_memory(
    tmp_path: Path, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "SIZE_MAX", 1)
    path = tmp_path / "journal.jsonl"
    writer = journal.Journal(str(path))
    decision, _ = decide(story.spec, story.observation(), Memory(), story.now)
    for _ in range(2):
        writer.write(KEY, story.spec, story.observation(), Memory(), decision)

    assert not path.exists()
    assert "memory" in json.loads(path.with_name("journal.jsonl.1").read_text())


def test_a_full_disk_costs_the_journal_and_not_the_scaling(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    writer = journal.Journal("/dev/full")
    decision, _ = decide(story.spec, story.observation(), Memory(), story.now)

    writer.write(KEY, story.spec, story.observation(), Memory(), decision)

    assert "journal /dev/full cannot be written: [Errno 28] No space left on device" in caplog.text
