"""A journal decides the same again, and something else under another spec."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scaling_story import Story

from headrace.autoscaler import journal, replay
from headrace.autoscaler.engine import Memory, Observation, decide, encode
from headrace.contract.apa import AutoscalerSpec
from headrace.contract.errors import InputError

KEY = ("endpoint-fraud", "v1")


@pytest.fixture
def recorded(tmp_path: Path, story: Story) -> Path:
    """Some minutes of a load that rises and falls."""
    path = tmp_path / "journal.jsonl"
    writer = journal.Journal(str(path))
    memory = Memory()
    spec = AutoscalerSpec(target="v1", min_concurrency=4, max_concurrency=4)
    story.spec = spec
    for second in range(200):
        story.now += 1
        story._serve(20 + 600 * (50 < second < 120))
        seen = story.observation()
        before = memory
        decision, memory = decide(spec, seen, memory, story.now)
        story.decide(seen)
        writer.write(KEY, spec, seen, before, decision)
    writer.close()
    return path


def test_a_journal_replays_to_the_same_decisions(recorded: Path) -> None:
    (found,) = replay.replay(replay.read(recorded))

    assert len(found.steps) == 200
    assert found.differences == 0
    assert all(encode(step.was) == encode(step.would) for step in found.steps)


def test_another_spec_shows_what_it_would_have_done(recorded: Path) -> None:
    (found,) = replay.replay(replay.read(recorded), spec={"maxReplicas": 3})

    assert max(step.was.replicas for step in found.steps) > 3
    assert max(step.would.replicas for step in found.steps) == 3
    was, would = found.pod_seconds()
    assert would < was


def test_a_spec_that_breaks_a_rule_is_refused(recorded: Path) -> None:
    with pytest.raises(InputError, match="minReplicas = 9"):
        replay.replay(replay.read(recorded), spec={"maxReplicas": 3, "minReplicas": 9})


def test_a_journal_cut_short_is_read_to_its_last_whole_line(recorded: Path) -> None:
    text = recorded.read_text()
    recorded.write_text(text[:-40])

    (found,) = replay.replay(replay.read(recorded))

    assert len(found.steps) == 199


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello\nworld\n")

    with pytest.raises(InputError, match="line 1"):
        list(replay.read(path))


def test_a_journal_that_begins_in_the_middle_waits_for_a_memory(recorded: Path) -> None:
    lines = recorded.read_text().splitlines()
    assert "memory" in json.loads(lines[0])
    recorded.write_text("\n".join(lines[1:]) + "\n")

    assert replay.replay(replay.read(recorded)) == []


def test_a_full_disk_costs_the_journal_and_not_the_scaling(story: Story) -> None:
    writer = journal.Journal("/dev/full")
    decision, _ = decide(story.spec, story.observation(), Memory(), story.now)

    writer.write(KEY, story.spec, story.observation(), Memory(), decision)


@pytest.mark.slow
def test_the_command_prints_the_changes_and_draws_them(recorded: Path, tmp_path: Path) -> None:
    picture = tmp_path / "replay.svg"
    command = [sys.executable, "-m", "headrace.autoscaler", "replay", str(recorded)]
    ran = subprocess.run(
        [*command, "--spec", '{"maxReplicas": 3}', "--plot", str(picture)], capture_output=True, text=True, check=True
    )

    assert "endpoint-fraud/v1: 200 looks" in ran.stdout
    assert "LimitReached" in ran.stdout
    assert picture.read_text().startswith("<?xml")

    wrong = subprocess.run([*command, "--spec", "{"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "is not JSON" in wrong.stderr


def test_observations_survive_the_journal(recorded: Path) -> None:
    first = json.loads(recorded.read_text().splitlines()[0])

    assert set(first) == {"key", "spec", "observation", "decision", "memory"}
    assert set(first["observation"]) == set(Observation.__dataclass_fields__)
